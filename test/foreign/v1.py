"""A client of enfilade.v1, written from PROTOCOL.md only.

It reads commands and prints events, both as lines of JSON.
"""

import asyncio
import base64
import json
import random
import secrets
import sys
import time
from urllib.parse import urlencode

import websockets

DEFAULTS = {"token": None, "client": None, "base": 0.5, "cap": 30, "random": None, "steady": 5, "patience": 10}


def tell(event, **details):
    print(json.dumps({"event": event, **details}), flush=True)


def comes_back(code):
    return not (code in (1000, 1003, 1007, 1008, 1009) or 3000 <= code <= 3999 or 4500 <= code <= 4999)


class Line:
    """One connection; `over` is the code it ended with, or "drain"."""

    def __init__(self, socket):
        self.socket, self.opened, self.welcomed, self.epoch, self.sent = socket, time.monotonic(), False, None, set()
        self.over = asyncio.get_running_loop().create_future()

    async def send(self, frame):
        try:
            await self.socket.send(frame if isinstance(frame, bytes) else json.dumps(frame))
        except websockets.ConnectionClosed:
            pass  # The reading code handles the closed connection.

    def end(self, why):
        if not self.over.done():
            self.over.set_result(why)


class Client:
    def __init__(self, url, options):
        self.url, self.options = url, {**DEFAULTS, **options}
        self.id, self.token = self.options["client"] or secrets.token_urlsafe(16), self.options["token"]
        self.secret = None
        self.position, self.line, self.leaving, self.tasks = None, None, [], set()
        self.asked, self.unanswered = 0, {}
        self.version, self.roster = None, {}

    async def run(self):
        attempt = -1  # The first attempt does not wait.
        while True:
            if attempt >= 0:
                part = random.random() if self.options["random"] is None else self.options["random"]
                seconds = part * min(self.options["cap"], self.options["base"] * 2**attempt)
                tell("waits", attempt=attempt, seconds=seconds)
                await asyncio.sleep(seconds)
            attempt, started = attempt + 1, time.monotonic()
            try:
                line = Line(await self.connect())
            except websockets.InvalidStatusCode as refusal:
                tell("refused", status=refusal.status_code)
                if refusal.status_code < 500 and refusal.status_code != 429:
                    break
            except (OSError, EOFError, websockets.InvalidHandshake, asyncio.TimeoutError):
                pass  # The server cannot be reached.
            else:
                self.do(self.read(line, started + self.options["patience"]))
                why = await line.over
                if why == "drain":
                    self.leaving.append(line)
                    attempt = -1
                elif not comes_back(why):
                    break
                if why != "drain" and time.monotonic() - line.opened >= self.options["steady"]:
                    attempt = 0
        tell("ended")

    def connect(self):
        query, protocols = {"client": self.id}, ["enfilade.v1"]
        if self.position is not None:
            query["since"] = "%s:%d" % self.position
        if self.secret is not None:
            protocols.append("enfilade.secret." + self.secret)
        if self.token is not None:
            protocols.append("enfilade.token." + base64.urlsafe_b64encode(self.token.encode()).decode().rstrip("="))
        url = self.url + ("&" if "?" in self.url else "?") + urlencode(query)
        limits = {"open_timeout": self.options["patience"], "close_timeout": 1, "max_size": None}
        return websockets.connect(url, subprotocols=protocols, ping_interval=None, **limits)

    def do(self, work):
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def read(self, line, deadline):
        quiet, code = max(0, deadline - time.monotonic()), 1006
        try:
            while True:
                try:
                    text = await asyncio.wait_for(line.socket.recv(), quiet)
                except asyncio.TimeoutError:
                    if not line.welcomed:
                        raise
                    await line.send({"type": "ping"})
                    text = await asyncio.wait_for(line.socket.recv(), self.options["patience"])
                frame = json.loads(text)
                kind = frame.pop("type")
                if kind == "welcome":
                    line.welcomed, quiet = True, frame["heartbeatMs"] / 1000 or None
                hear = getattr(self, "on_" + kind, None)
                if hear is not None:
                    await hear(line, frame)
        except asyncio.TimeoutError:
            line.socket.fail_connection()
        except websockets.ConnectionClosed:
            code = line.socket.close_code
        if self.line is line:
            self.line = None
        tell("closed", code=code, reason=line.socket.close_reason)
        line.end(code)
        if line in self.leaving:
            self.leaving.remove(line)
            await self.ask()

    async def on_welcome(self, line, frame):
        position = frame.get("position")
        if not frame.get("recovered"):  # Otherwise it is `since`, and the old connection may have delivered more.
            self.position = position and (position["epoch"], position["offset"])
        line.epoch = position and position["epoch"]
        self.secret = frame.get("secret")
        self.line, self.version = line, None
        tell("welcome", protocol=line.socket.subprotocol, frame=frame)
        await self.ask()
        self.leave()

    async def on_message(self, line, frame):
        if "offset" in frame:
            epoch, seen = self.position
            if line.epoch != epoch or frame["offset"] <= seen:
                return tell("again", **frame)
            if frame["offset"] > seen + 1:
                tell("jump", missed=frame["offset"] - seen - 1)
            self.position = (epoch, frame["offset"])
        elif line is not self.line:
            return  # The new connection delivers it too.
        tell("message" if frame.keys() & {"data", "text", "base64"} else "counted", **frame)

    async def on_reply(self, line, frame):
        tell("reply", asked=self.unanswered.pop(frame["id"], None) is not None, **frame)
        if self.line is not None and self.line not in self.leaving:
            self.leave()

    async def on_error(self, line, frame):
        tell("error", frame=frame)

    async def on_presence(self, line, frame):
        if line is not self.line:
            return
        if "users" in frame:
            self.roster = {user["id"]: user for user in frame["users"]}
        elif "joined" in frame:
            if self.version is None:
                return  # Waits for the roster.
            if frame["version"] != self.version + 1:
                self.version = None
                return await line.send({"type": "watch"})
            self.roster.update({user["id"]: user for user in frame["joined"]})
            self.roster = {id: user for id, user in self.roster.items() if id not in frame["left"]}
        self.version = frame["version"]
        tell("roster", version=self.version, count=frame["count"], users=list(self.roster.values()))

    async def on_lagged(self, line, frame):
        if line is not self.line:
            return  # The new connection delivers the available messages.
        if "position" in frame:
            line.epoch = frame["position"]["epoch"]
            self.position = (line.epoch, frame["position"]["offset"])
        tell("lagged", **frame)

    async def on_pong(self, line, frame):
        tell("pong")

    async def on_drain(self, line, frame):
        tell("drain", **frame)
        asyncio.get_running_loop().call_later(frame.get("afterMs", 0) / 1000, line.end, "drain")

    def leave(self):
        """Closes the drained connections that have answered all frames."""
        for line in self.leaving:
            if not line.sent & self.unanswered.keys():
                self.do(line.socket.close())

    async def ask(self):
        """Sends unanswered frames, once on each connection, and not while a drained connection has them."""
        line = self.line
        waiting = set().union(*(other.sent for other in self.leaving if other is not line))
        for id, frame in list(self.unanswered.items()):
            if line is not None and id not in line.sent and id not in waiting:
                line.sent.add(id)
                await line.send(frame)

    async def obey(self):
        orders = asyncio.StreamReader(limit=2**24)
        protocol = asyncio.StreamReaderProtocol(orders)
        await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, sys.stdin)
        while text := await orders.readline():
            order = json.loads(text)
            if order["do"] == "ask":
                self.asked += 1
                self.unanswered[self.asked] = {**order["frame"], "id": self.asked}
                await self.ask()
            elif order["do"] == "renew":
                self.token = order["token"]
                await self.line.send({"type": "refresh", "token": self.token})
            elif order["do"] == "binary":
                await self.line.send(base64.b64decode(order["base64"]))
            else:
                await self.line.send(order["frame"])


async def main(url, options="{}"):
    client = Client(url, json.loads(options))
    client.do(client.obey())
    await client.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
