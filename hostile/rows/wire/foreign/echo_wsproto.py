"""Sends messages of many lengths with python3-wsproto, and checks their echoes: `url lengths`."""

import socket
import sys
from urllib.parse import urlparse

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Message,
    Ping,
    Pong,
    Request,
    TextMessage,
)


class Client:
    def __init__(self, url):
        parts = urlparse(url)
        self.socket = socket.create_connection((parts.hostname, parts.port))
        self.socket.settimeout(10)
        self.connection = WSConnection(ConnectionType.CLIENT)
        self.pending = []
        self.send(Request(host=parts.netloc, target=parts.path))

    def send(self, event):
        self.socket.sendall(self.connection.send(event))

    def next(self):
        while not self.pending:
            data = self.socket.recv(65536)
            self.connection.receive_data(data or None)
            self.pending.extend(self.connection.events())
        return self.pending.pop(0)

    def message(self):
        """The next message, with all its parts."""
        parts = []
        while True:
            event = self.next()
            assert isinstance(event, Message), event
            parts.append(event.data)
            if event.message_finished:
                return parts[0][:0].join(parts)


def main(url, lengths):
    client = Client(url)
    assert isinstance(client.next(), AcceptConnection)
    for length in lengths:
        text, data = "é" * (length // 2), bytes(at % 251 for at in range(length))
        client.send(TextMessage(data=text))
        assert client.message() == text, f"the echo of {length} bytes is not equal"
        client.send(BytesMessage(data=data[:1], message_finished=False))
        client.send(BytesMessage(data=data[1:]))
        assert bytes(client.message()) == data, f"the echo of {length} bytes in fragments is not equal"
    client.send(Ping(payload=b"ping"))
    assert isinstance(client.next(), Pong)
    client.send(CloseConnection(code=3000, reason="done"))
    end = client.next()
    assert isinstance(end, CloseConnection) and end.code == 3000, end
    print("ok")


main(sys.argv[1], [int(one) for one in sys.argv[2].split(",")])
