import { describe, expect, it } from "vitest";
import { closes, Mailbox } from "../../support/app.js";
import { RoomsClient } from "../../support/roomsClient.js";
import { startChat } from "./chat.js";

const id = expect.stringMatching(/^[\w-]{22}$/);

describe("a socket with many rooms", () => {
  it("is opened at any path, with a welcome that has the heartbeat only", async () => {
    const { port, app } = await startChat({ limits: { heartbeatMs: 7_000 } });
    for (const path of ["/", "/nowhere/at/all?x=1", "/chat/a"]) {
      const client = await RoomsClient.open(port, { path });
      expect(client.protocol).toBe("enfilade.v1.rooms");
      expect(await client.first("welcome")).toEqual({
        type: "welcome",
        heartbeatMs: 7_000,
        frameBytesMax: expect.any(Number),
      });
    }
    expect(app.status()).toMatchObject({ connections: 0, rooms: 0 });
  });

  it("answers the opening of a room with the fields of a welcome, and counts each room as a connection", async () => {
    const { port, app } = await startChat({}, { history: { size: 10 } });
    const client = await RoomsClient.open(port);
    const fields = { query: "client=client-0123456789" };
    expect(await client.open("/chat/a", fields)).toEqual({
      type: "opened",
      room: "/chat/a",
      id,
      secret: id,
      position: { epoch: expect.any(String), offset: 0 },
      heartbeatMs: 25_000,
    });
    expect(await client.open("/chat/b")).toMatchObject({ type: "opened", room: "/chat/b", id });
    expect(app.status()).toMatchObject({ connections: 2, rooms: 2, totals: { opened: 2 } });
    expect(client.of("/chat/a")[0]?.id).not.toBe(client.of("/chat/b")[0]?.id);
  });

  it("proves with the secret that a client is the same as before", async () => {
    const { port } = await startChat();
    const query = "client=client-0123456789";
    const client = await RoomsClient.open(port);
    const { secret } = await client.open("/chat/a", { query });
    client.event("/chat/a", "say", "once", 1);
    await client.first("reply", "/chat/a");
    const again = await RoomsClient.open(port);
    expect((await again.open("/chat/a", { query, secret })).secret).toBe(secret);
    again.event("/chat/a", "say", "twice", 1);
    // The answer is that of the first frame with this id, which is not run again.
    await again.first("reply", "/chat/a");
    expect(client.of("/chat/a", "message").map(({ data }) => data)).toEqual(["once"]);
  });

  it("resumes a room after a position", async () => {
    const { port, app } = await startChat({}, { history: { size: 10 } });
    const first = await RoomsClient.open(port);
    const { position } = await first.open("/chat/a");
    first.cut();
    for (const n of [1, 2]) await app.registry.room("/chat/a").publish(n);
    const second = await RoomsClient.open(port);
    const since = `since=${position?.epoch}:${position?.offset}`;
    expect(await second.open("/chat/a", { query: since })).toMatchObject({ recovered: true });
    await second.until(() => second.of("/chat/a", "message").length === 2);
    expect(second.of("/chat/a", "message")).toEqual([
      { type: "message", room: "/chat/a", offset: 1, data: 1 },
      { type: "message", room: "/chat/a", offset: 2, data: 2 },
    ]);
    expect(await second.open("/chat/b", { query: "since=old:7" })).toMatchObject({ recovered: false });
  });

  it("carries messages, events, requests, replies and errors of a room, with the room", async () => {
    const { port, app } = await startChat();
    const client = await RoomsClient.open(port);
    await client.open("/chat/a");
    const room = "/chat/a";
    client.event(room, "mine", { deep: [1, "ä"] }, "r1");
    expect(await client.first("message", room)).toEqual({ type: "message", room, data: { deep: [1, "ä"] } });
    expect(await client.first("reply", room)).toMatchObject({ type: "reply", room, id: "r1" });
    client.event(room, "nothing", null, 2);
    await client.until(() => client.of(room, "reply").length === 2);
    expect(client.of(room, "reply")[1]).toMatchObject({ id: 2, error: { code: "unknown_event" } });
    client.send({ type: "message", room, base64: Buffer.from([1, 2, 254]).toString("base64") });
    await client.until(() => client.of(room, "message").length === 2);
    expect(client.of(room, "message")[1]).toEqual({ type: "message", room, base64: "AgP/" });
    const [connection] = app.registry.connections;
    const answer = connection?.sendRequest("confirm", 7);
    const { id: asked } = await client.first("request", room);
    client.send({ type: "reply", room, id: asked, data: "yes" });
    expect(await answer).toBe("yes");
    client.send({ type: "ping", room });
    expect(await client.first("pong", room)).toEqual({ type: "pong", room });
    client.send({ type: "ping" });
    expect(await client.first("pong")).toEqual({ type: "pong" });
  });

  it("gives each room its own request: path, query, token and parameters, with the headers of the socket", async () => {
    const { port } = await startChat();
    const client = await RoomsClient.open(port, { headers: { "x-agent": "test", authorization: "Bearer socket" } });
    await client.open("/chat/café", { query: "as=ann&x=%2F", token: "tökén" });
    await client.open("/chat/b");
    for (const room of ["/chat/café", "/chat/b"]) client.event(room, "who", null, 1);
    const common = { agent: "test", address: "127.0.0.1" };
    expect((await client.first("reply", "/chat/café")).data).toEqual({
      ...common,
      path: "/chat/café",
      url: "/chat/caf%C3%A9?as=ann&x=%2F",
      as: "ann",
      user: "tökén",
      params: { channel: "café" },
    });
    expect((await client.first("reply", "/chat/b")).data).toMatchObject({ ...common, as: null, user: "socket" });
  });

  it("renews the token of one room, and of no other", async () => {
    const { port } = await startChat();
    const client = await RoomsClient.open(port);
    for (const room of ["/chat/a", "/chat/b"]) await client.open(room, { token: "ann.1" });
    const userOf = async (room: string) => Object(await client.call(room, "who")).data.user;
    client.send({ type: "refresh", room: "/chat/a", token: "ann.2" });
    // The frame has no answer.
    let asked = 0;
    for (; (await userOf("/chat/a")) !== "ann.2"; asked += 1) expect(asked).toBeLessThan(1_000);
    expect(await userOf("/chat/b")).toBe("ann.1");
    client.send({ type: "refresh", room: "/chat/a", token: "nobody" });
    expect(await client.first("closed", "/chat/a")).toMatchObject({ code: 4_501, reason: "unauthorized" });
    expect(await userOf("/chat/b")).toBe("ann.1");
  });

  it("has presence of each room", async () => {
    const { port } = await startChat({}, { presence: { mode: "full", leaveGraceMs: 1 } });
    const client = await RoomsClient.open(port);
    await client.open("/chat/a", { token: "ann" });
    await client.open("/chat/b", { token: "ann" });
    const other = await RoomsClient.open(port);
    await other.open("/chat/b", { token: "bob" });
    await client.until(() => client.of("/chat/b", "presence").length === 2);
    expect(client.of("/chat/a", "presence")).toHaveLength(1);
    expect(JSON.stringify(client.of("/chat/b", "presence")[1])).toContain("bob");
    expect(client.of("/chat/b", "presence").every(({ address }) => address === undefined)).toBe(true);
    other.send({ type: "close", room: "/chat/b" });
    await client.until(() => client.of("/chat/b", "presence").length === 3);
    expect(client.of("/chat/a", "presence")).toHaveLength(1);
  });

  it("answers the close of a room with its code, and the handler gets it", async () => {
    const { port, app } = await startChat();
    const ended = new Mailbox<unknown>();
    app.on("close", ({ request }, code, reason) => ended.put([request.path, code, reason]));
    const client = await RoomsClient.open(port);
    for (const room of ["/chat/a", "/chat/b", "/chat/c"]) await client.open(room);
    client.send({ type: "close", room: "/chat/a", code: 3_001, reason: "bye" });
    client.send({ type: "close", room: "/chat/b" });
    expect(await client.first("closed", "/chat/a")).toMatchObject({ code: 3_001, reason: "bye" });
    expect(await client.first("closed", "/chat/b")).toMatchObject({ code: 1_000, reason: "" });
    expect(await ended.have(2)).toEqual([
      ["/chat/a", 3_001, "bye"],
      ["/chat/b", 1_005, ""],
    ]);
    client.event("/chat/c", "end", [4_444, "enough"]);
    expect(await client.first("closed", "/chat/c")).toEqual({
      type: "closed",
      room: "/chat/c",
      code: 4_444,
      reason: "enough",
    });
    expect(app.status().connections).toBe(0);
  });

  it("ends a room with one frame: the answers to opening, closing and opening it again do not mix", async () => {
    const { port, app } = await startChat();
    const client = await RoomsClient.open(port);
    const room = "/chat/a";
    // All in one turn: the first is refused, the second is closed before it has opened, the third stays.
    client.ask(room, { query: "refuse=403" });
    client.send({ type: "close", room, code: 3_000 });
    await client.first("closed", room);
    for (let round = 0; round < 3; round += 1) {
      client.ask(room);
      client.send({ type: "close", room, code: 3_001 + round });
    }
    client.ask(room);
    await client.until(() => client.of(room, "opened").length === 1);
    expect(client.of(room).map(({ type, code }) => [type, code])).toEqual([
      ["closed", 3_000],
      ["closed", 3_001],
      ["closed", 3_002],
      ["closed", 3_003],
      ["opened", undefined],
    ]);
    client.event(room, "mine", "alive");
    await client.first("message", room);
    expect(app.status().connections).toBe(1);
  });

  it("ignores what is sent to a room that has closed, or that was never opened", async () => {
    const { port } = await startChat();
    const client = await RoomsClient.open(port);
    await client.open("/chat/a");
    client.event("/chat/a", "end", [3_000, "x"]);
    client.event("/chat/a", "mine", 1);
    await client.first("closed", "/chat/a");
    for (const type of ["event", "close", "nonsense"]) client.send({ type, room: "/chat/a", event: "mine" });
    client.event("/chat/never", "mine", 1);
    await client.settled();
    expect(client.of("/chat/a").map(({ type }) => type)).toEqual(["opened", "closed"]);
    expect(await client.open("/chat/a")).toMatchObject({ type: "opened" });
  });

  it("ends all rooms when the socket ends, with its code", async () => {
    const { port, app } = await startChat();
    const ended = new Mailbox<unknown>();
    app.on("close", (_connection, code, reason) => ended.put([code, reason]));
    const client = await RoomsClient.open(port);
    for (const room of ["/chat/a", "/chat/b"]) await client.open(room);
    client.close(3_007, "all");
    expect(await ended.have(2)).toEqual([
      [3_007, "all"],
      [3_007, "all"],
    ]);
    expect(await client.closed).toEqual({ code: 3_007, reason: "all" });
    const lost = await RoomsClient.open(port);
    await lost.open("/chat/a");
    lost.cut();
    expect((await ended.have(3))[2]).toEqual([1_006, ""]);
    expect(app.status()).toMatchObject({ connections: 0, rooms: 0 });
  });
});

describe("a frame that no client may send", () => {
  const room = "/chat/a";

  it.each([
    ["no JSON", "{"],
    ["half a frame", '{"type":"open","room":"/chat/x"'],
    ["nothing", ""],
    ["a number", "1"],
    ["null", "null"],
    ["a list", `[{"type":"ping"}]`],
    ["bytes", Buffer.from('{"type":"ping"}')],
    ["no type", "{}"],
    ["a frame of v1 without a room", '{"type":"message","data":1}'],
    ["a room that is no text", '{"type":"message","room":7,"data":1}'],
    ["an open frame without a room", '{"type":"open"}'],
    ["a query that is no text", '{"type":"open","room":"/chat/b","query":{}}'],
    ["a token that is no text", '{"type":"open","room":"/chat/b","token":1}'],
    ["a secret that is null", '{"type":"open","room":"/chat/b","secret":null}'],
    ["a room that is open", `{"type":"open","room":"${room}"}`],
    ["a frame of no known type to an open room", `{"type":"what","room":"${room}"}`],
    ["a close with a code of the protocol", `{"type":"close","room":"${room}","code":1006}`],
    ["a close with half a code", `{"type":"close","room":"${room}","code":3000.5}`],
    ["a close with a long reason", `{"type":"close","room":"${room}","code":3000,"reason":"${"ä".repeat(62)}"}`],
  ])("(%s) closes the socket or its room with 4500, and the reason is not what it said", async (_name, text) => {
    const { port, app, errors } = await startChat();
    const client = await RoomsClient.open(port);
    await client.open(room);
    const ended = closes(app, 1);
    client.sendText(text);
    await ended;
    const isOfRoom = String(text).includes('"what"');
    if (isOfRoom) expect(await client.first("closed", room)).toMatchObject({ code: 4_500, reason: "bad frame" });
    else expect(await client.closed).toEqual({ code: 4_500, reason: "bad frame" });
    expect([app.status().connections, errors]).toEqual([0, []]);
  });

  it("(to a room that is being authorized) closes the socket with 4500", async () => {
    const { port } = await startChat();
    const client = await RoomsClient.open(port);
    client.ask("/chat/a");
    client.event("/chat/a", "mine", 1);
    expect(await client.closed).toEqual({ code: 4_500, reason: "bad frame" });
  });
});
