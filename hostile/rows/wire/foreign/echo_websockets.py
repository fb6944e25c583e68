"""Sends messages of many lengths with python3-websockets, and checks their echoes: `url lengths`."""

import asyncio
import sys

import websockets


async def main(url, lengths):
    async with websockets.connect(url, ping_interval=None) as socket:
        for length in lengths:
            text, data = "é" * (length // 2), bytes(at % 251 for at in range(length))
            for sent in (text, data):
                await socket.send(sent)
                assert await socket.recv() == sent, f"the echo of {length} bytes is not equal"
            # In fragments.
            await socket.send([text[:1], text[1:]])
            assert await socket.recv() == text, f"the echo of {length} bytes in fragments is not equal"
        await (await socket.ping(b"ping"))
        await socket.close(3000, "done")
        assert socket.close_code == 3000, socket.close_code
    print("ok")


asyncio.run(main(sys.argv[1], [int(one) for one in sys.argv[2].split(",")]))
