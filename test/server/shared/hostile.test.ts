import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { App, type AppOptions, type anonymous } from "../../../src/index.js";
import { ManualClock } from "../../../src/testing/index.js";
import { start } from "../../support/app.js";
import { Dice } from "../../support/dice.js";
import { clientFrame, rawClient, upgradeRequest } from "../../support/raw.js";
import { RoomsClient } from "../../support/roomsClient.js";
import { Chat, silent } from "./chat.js";

/** A running app, and a neighbour that must get every echo. */
async function startServer(options: AppOptions = {}) {
  class Slow extends Chat {
    override authorize(): Promise<typeof anonymous> {
      return new Promise(() => undefined);
    }
  }
  const app = new App({ logger: silent, ...options }).route("/chat/:channel", Chat).route("/slow/:channel", Slow);
  const running = await start(app);
  const neighbour = await RoomsClient.open(running.port);
  await neighbour.open("/chat/neighbour");
  let echoes = 0;
  const alive = async () => {
    echoes += 1;
    neighbour.event("/chat/neighbour", "mine", echoes);
    await neighbour.until(() => neighbour.of("/chat/neighbour", "message").at(-1)?.data === echoes);
    expect(neighbour.of("/chat/neighbour", "message")).toHaveLength(echoes);
  };
  return { ...running, alive };
}

/** Bytes of the heap after a garbage collection. */
async function heapBytes(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  for (let n = 0; n < 4; n += 1) {
    if (typeof collect === "function") collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return process.memoryUsage().heapUsed;
}

const frames = [
  { type: "open", room: "/chat/a", query: "as=ann", token: "ann" },
  { type: "open", room: "/chat/b" },
  { type: "close", room: "/chat/a", code: 3_000, reason: "x" },
  { type: "event", room: "/chat/b", event: "say", data: { x: [1, null, "ä"] }, id: 7 },
  { type: "message", room: "/chat/b", base64: "AAEC" },
  { type: "message", room: "/chat/b", data: 1, id: "a" },
  { type: "reply", room: "/chat/b", id: 1, data: null },
  { type: "refresh", room: "/chat/b", token: "t" },
  { type: "watch", room: "/chat/b" },
  { type: "ping", room: "/chat/b" },
  { type: "ping" },
].map((frame) => JSON.stringify(frame));

/** Changes a text at up to three places. */
function mutated(text: string, dice: Dice): string {
  let result = text;
  for (let times = dice.from(0, 4); times > 0; times -= 1) {
    const [at, end] = [dice.from(0, result.length + 1), dice.from(0, result.length + 1)];
    const other = dice.of(frames) ?? "";
    const change = dice.from(0, 5);
    const piece =
      change === 0 ? "" : change === 1 ? String.fromCharCode(dice.from(0, 300)) : change === 2 ? "[".repeat(50) : "";
    if (change === 3) result = result.slice(0, at) + other.slice(dice.from(0, other.length));
    else if (change === 4) result = result.replace(/"[^"]*"/, dice.of(['"__proto__"', "1e999", "null", "{}"]) ?? "");
    else result = result.slice(0, at) + piece + result.slice(Math.min(at + dice.from(0, 3), Math.max(at, end)));
  }
  return result;
}

describe("a malicious client of a socket with many rooms", () => {
  it("may send 4,000 mutated frames: each is served, ignored, or ends a room or the socket", async () => {
    const seed = Math.floor(Math.random() * 1_000_000);
    const dice = new Dice(seed);
    const { port, app, errors, alive } = await startServer();
    const codes = new Set<number>();
    let client = await RoomsClient.open(port);
    for (let n = 0; n < 4_000; n += 1) {
      client.sendText(mutated(dice.of(frames) ?? "", dice));
      if (n % 4 === 3) {
        await Promise.race([client.settled(), client.closed.then(({ code }) => codes.add(code))]);
        const isClosed = await Promise.race([client.closed.then(() => true), Promise.resolve(false)]);
        if (isClosed) client = await RoomsClient.open(port);
      }
      if (n % 500 === 0) await alive();
    }
    client.cut();
    await alive();
    expect([...codes], `seed ${seed}`).toEqual([4_500]);
    expect(errors, `seed ${seed}`).toEqual([]);
    while (app.status().connections > 1) await new Promise((resolve) => setImmediate(resolve));
    expect(app.status()).toMatchObject({ handshakes: 0, rooms: 1 });
    expect(Object.keys(Object.prototype)).toEqual([]);
  });

  it("may name rooms as the properties of every object", async () => {
    const { port, alive } = await startServer();
    const client = await RoomsClient.open(port);
    for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty", "prototype"]) {
      expect(await client.open(name)).toMatchObject({ status: 400 });
      expect(await client.open(`/${name}`)).toMatchObject({ status: 404 });
      expect(await client.open(`/chat/${name}`)).toMatchObject({ type: "opened" });
      expect(await client.call(`/chat/${name}`, name)).toMatchObject({ error: { code: "unknown_event" } });
      client.event(name, "say", 1);
    }
    client.sendText('{"__proto__":{"type":"open","room":"/chat/forged"}}');
    expect(await client.closed).toMatchObject({ code: 4_500 });
    await alive();
    expect(Object.keys(Object.prototype)).toEqual([]);
  });

  it("may send to 10,000 rooms that are not open, and ask for 10,000: it gets joinsMax of them", async () => {
    const { port, app, alive } = await startServer();
    const client = await RoomsClient.open(port);
    for (let n = 0; n < 10_000; n += 1) client.event(`/chat/${n}`, "say", n);
    for (let n = 0; n < 10_000; n += 1) client.send({ type: "close", room: `/chat/${n}` });
    await client.settled();
    expect(client.frames.all.map(({ type }) => type)).toEqual(["welcome", "pong"]);
    for (let n = 0; n < 10_000; n += 1) client.ask(`/chat/${n}`);
    await client.until(() => client.frames.all.length === 10_002);
    expect(client.frames.all.filter(({ type }) => type === "opened")).toHaveLength(128);
    expect(app.status()).toMatchObject({ connections: 129, rooms: 129 });
    await alive();
  });

  it("may open and close rooms without end: nothing of them stays", async () => {
    const { port, app, alive, errors } = await startServer();
    const client = await RoomsClient.open(port);
    await client.open("/chat/stays");
    const cycles = async (count: number) => {
      for (let n = 0; n < count; n += 1) {
        client.ask(`/chat/${n % 3}`, { query: `as=${n}` });
        client.send({ type: "close", room: `/chat/${n % 3}`, code: 3_000 });
        if (n % 200 === 199) {
          await client.settled();
          client.frames.all.length = 0;
        }
      }
      client.frames.all.length = 0;
    };
    await cycles(4_000);
    const before = await heapBytes();
    await cycles(20_000);
    const grown = (await heapBytes()) - before;
    expect(grown / 20_000).toBeLessThan(50);
    expect(app.status()).toMatchObject({ connections: 2, rooms: 2, handshakes: 0 });
    await alive();
    expect(errors).toEqual([]);
  });

  it("may ask for rooms while authorize hangs: the limits hold, and cutting it frees the places", async () => {
    const { port, app, alive } = await startServer({ limits: { authorizeMax: 20, authorizeMs: 60_000 } });
    const clients = await Promise.all(Array.from({ length: 20 }, () => RoomsClient.open(port)));
    for (const client of clients) for (let n = 0; n < 200; n += 1) client.ask(`/slow/${n}`);
    await Promise.all(clients.map((client) => client.until(() => client.frames.all.length > 150)));
    expect(app.status().handshakes).toBe(20);
    for (const client of clients) client.cut();
    while (app.status().handshakes > 0) await new Promise((resolve) => setImmediate(resolve));
    await alive();
    // The calls of authorize cannot be stopped; they count until they have settled.
    expect(app.status()).toMatchObject({ connections: 1, rooms: 1 });
  });

  it("is closed when it asks for rooms and reads no answer", async () => {
    const { port, app, alive } = await startServer();
    const client = await RoomsClient.open(port);
    await client.open("/chat/a");
    client.pause();
    const name = "x".repeat(400);
    let isClosed = false;
    app.on("close", () => {
      isClosed = true;
    });
    for (let n = 0; !isClosed; n += 1) {
      client.ask(`/none/${name}${n}`);
      if (n % 500 === 0) await alive();
    }
    client.resume();
    expect((await client.closed).code).toBe(4_008);
    await alive();
  });

  it("may hold 1,000 sockets without a room for handshakeMs", async () => {
    const clock = new ManualClock();
    const { port, alive } = await startServer({ clock, limits: { handshakeMs: 10_000, heartbeatMs: false } });
    const clients: RoomsClient[] = [];
    for (let n = 0; n < 10; n += 1) {
      clients.push(...(await Promise.all(Array.from({ length: 100 }, () => RoomsClient.open(port)))));
    }
    await alive();
    clock.advance(10_000);
    for (const { code } of await Promise.all(clients.map(({ closed }) => closed))) expect(code).toBe(1_001);
    await alive();
  });

  it("is closed when it sends half a frame, and takes nothing with it when it is cut there", async () => {
    const { port, alive, errors } = await startServer({ limits: { messageMs: 80, closeMs: 50 } });
    const frame = clientFrame(0x81, '{"type":"open","room":"/chat/half"}');
    for (const isCut of [true, false]) {
      const { socket, received, ended } = await rawClient(port);
      socket.write(upgradeRequest("/", { "Sec-WebSocket-Protocol": "enfilade.v1.rooms" }));
      await received("welcome");
      socket.write(frame);
      await received("opened");
      socket.write(frame.subarray(0, 20));
      if (isCut) socket.resetAndDestroy();
      const bytes = await ended;
      if (!isCut) expect(bytes.includes(Buffer.from([0x03, 0xf0]))).toBe(true);
      await alive();
    }
    expect(errors).toEqual([]);
  });

  it("cannot make the library run out of stack with a frame that is nested deeply", async () => {
    const { port, alive, errors } = await startServer();
    const client = await RoomsClient.open(port);
    await client.open("/chat/a");
    const nested = "[".repeat(30_000) + "]".repeat(30_000);
    client.sendText(`{"type":"event","room":"/chat/a","event":"mine","data":${nested},"id":1}`);
    await client.first("reply", "/chat/a");
    client.sendText(`{"type":"open","room":"/chat/b","query":${nested}}`);
    expect(await client.closed).toMatchObject({ code: 4_500 });
    await alive();
    expect(errors).toEqual([]);
  });
});
