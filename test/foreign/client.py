"""A WebSocket client of python3-websockets, which reads commands and prints events as lines of JSON."""

import asyncio
import base64
import json
import sys

import websockets


def tell(event, **details):
    print(json.dumps({"event": event, **details}), flush=True)


async def read(socket):
    async for message in socket:
        if isinstance(message, str):
            tell("text", text=message)
        else:
            tell("binary", base64=base64.b64encode(message).decode())


async def obey(socket):
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        if order["do"] == "text":
            await socket.send(order["text"])
        elif order["do"] == "binary":
            await socket.send(base64.b64decode(order["base64"]))
        elif order["do"] == "ping":
            await (await socket.ping())
            tell("pong")
        elif order["do"] == "close":
            await socket.close()


async def main(url, protocols):
    try:
        socket = await websockets.connect(url, subprotocols=protocols or None, ping_interval=None)
    except websockets.InvalidStatusCode as refusal:
        tell("refused", status=refusal.status_code)
        return
    tell("open", protocol=socket.subprotocol or "")
    orders = asyncio.ensure_future(obey(socket))
    try:
        await read(socket)
    except websockets.ConnectionClosed:
        # The close is reported below.
        pass
    orders.cancel()
    tell("closed", code=socket.close_code, reason=socket.close_reason)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2:]))
