import * as undici from "undici";
import { describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { ConnectError, connect, type StateDetail } from "../../src/client/index.js";
import { ManualClock } from "../../src/testing/clock.js";
import { connectScripted, Mailbox, type ScriptedRoom, startScriptedServer, waitForState, watch } from "./scripted.js";

/** A room that a server refuses from the first attempt on. */
async function connectRefused(status: number) {
  const server = await startScriptedServer();
  Object.assign(server, { answer: "refuse", status });
  const clock = new ManualClock();
  const room = connect(server.url, { WebSocket, clock, random: () => 1 });
  onTestFinished(() => room.close());
  const errors = watch(room, "error");
  const details = new Mailbox<StateDetail>();
  room.on("state", (state, detail) => (state === "waiting" || state === "closed") && details.put(detail));
  return { ...server, server, clock, room, errors, details };
}

/** Makes the room try once more, and resolves when that has failed. */
async function retry({ clock, delays }: ScriptedRoom): Promise<void> {
  const count = delays.all.length;
  clock.advance(delays.all.at(-1) ?? 0);
  await delays.have(count + 1);
}

describe("a refusal by HTTP", () => {
  it.each([400, 401, 403, 404, 410, 426])("with %i is final, and reported with its status", async (status) => {
    const { room, errors, details, clock, settled, unanswered } = await connectRefused(status);
    const opened = room.opened.catch((error: unknown) => error);
    await waitForState(room, "closed");
    expect(errors.all).toHaveLength(1);
    expect(errors.all[0]).toBeInstanceOf(ConnectError);
    expect(errors.all[0]).toMatchObject({ status, closeCode: 1006 });
    expect(details.all).toEqual([{ code: 1006, reason: `Unexpected server response: ${status}`, status }]);
    expect(await opened).toMatchObject({ name: "ConnectError", status });
    clock.advance(3_600_000);
    await settled();
    expect(unanswered.all).toHaveLength(1);
  });

  it.each([302, 408, 425, 429, 500, 503])("with %i is reported, and tried again", async (status) => {
    const { room, errors, details, server, clock, peers } = await connectRefused(status);
    await waitForState(room, "waiting");
    expect(errors.all).toMatchObject([{ name: "ConnectError", status }]);
    expect(details.all).toMatchObject([{ status, delayMs: 500 }]);
    server.answer = "accept";
    clock.advance(500);
    (await peers.take()).welcome();
    expect(await room.opened).toBe(room);
    expect(errors.all).toHaveLength(1);
  });

  it("is reported once for each status in a row, and again after the room was open", async () => {
    const running = await connectScripted();
    const { room, errors, peers } = running;
    (await peers.take()).welcome();
    await waitForState(room, "open");
    running.answer = "refuse";
    peers.all[0]?.terminate();
    await running.delays.have(1);
    for (const status of [503, 503, 429, 429, 503]) {
      running.status = status;
      await retry(running);
    }
    const statuses = () => errors.map((error) => (error instanceof ConnectError ? error.status : error));
    expect(statuses()).toEqual([503, 429, 503]);
    running.answer = "accept";
    running.clock.advance(running.delays.all.at(-1) ?? 0);
    (await peers.have(2))[1]?.welcome();
    await waitForState(room, "open");
    running.answer = "refuse";
    peers.all[1]?.terminate();
    await waitForState(room, "waiting");
    await retry(running);
    expect(statuses()).toEqual([503, 429, 503, 503]);
  });

  it("is not read from numbers in an address", async () => {
    const clock = new ManualClock();
    const message = "connect ECONNREFUSED 127.0.0.1:404";
    class Failing extends EventTarget {
      constructor() {
        super();
        queueMicrotask(() => this.dispatchEvent(Object.assign(new Event("error"), { message })));
      }
      send = () => undefined;
      close = () => undefined;
    }
    // EventTarget types its listeners more broadly.
    const room = connect("ws://localhost/x", { WebSocket: Failing as never, clock });
    const errors = watch(room, "error");
    await waitForState(room, "waiting");
    expect(errors.all).toMatchObject([{ status: undefined, message: `no connection: 1006 ${message}` }]);
    room.close();
  });

  it("without a status from the WebSocket is reported without it, and tried again", async () => {
    const server = await startScriptedServer();
    server.answer = "refuse";
    server.status = 404;
    const clock = new ManualClock();
    const room = connect(server.url, { WebSocket: undici.WebSocket, clock });
    onTestFinished(() => room.close());
    const errors = watch(room, "error");
    await waitForState(room, "waiting");
    expect(errors.all).toMatchObject([{ name: "ConnectError", closeCode: 1006, status: undefined }]);
  });

  it("of the second connection in a drain keeps the first one", async () => {
    const running = await connectScripted();
    const { room, peers, errors, clock } = running;
    const old = await peers.take();
    old.welcome();
    await waitForState(room, "open");
    running.answer = "refuse";
    running.status = 404;
    old.send({ type: "drain", withinMs: 10_000, afterMs: 1_000 });
    await old.roundtrip();
    clock.advance(1_000);
    await running.unanswered.have(1);
    await running.settled();
    const messages = watch(room, "message");
    old.send({ type: "message", data: 1 });
    await messages.have(1);
    expect([room.state, errors]).toEqual(["open", []]);
  });
});

describe("a refusal by close code", () => {
  it.each([
    [4501, 401],
    [4504, 404],
  ])("%i is final, and reported as status %i", async (code, status) => {
    const { room, peers, errors } = await connectScripted();
    const opened = room.opened.catch((error: unknown) => error);
    (await peers.take()).close(code, "refused");
    await waitForState(room, "closed");
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatchObject({ closeCode: code, status, message: `no connection: ${code} refused` });
    expect(await opened).toMatchObject({ closeCode: code, status });
  });

  it("also ends a room that was open", async () => {
    const { room, peers, errors } = await connectScripted();
    const peer = await peers.take();
    peer.welcome();
    await waitForState(room, "open");
    peer.close(4501, "revoked");
    await waitForState(room, "closed");
    expect(errors).toMatchObject([{ status: 401 }]);
  });

  it.each([1003, 1007, 1009, 4500, 4600])("with %i, which is final too, is reported without a status", async (code) => {
    const { room, peers, errors } = await connectScripted();
    const peer = await peers.take();
    peer.welcome();
    await waitForState(room, "open");
    peer.close(code, "no");
    await waitForState(room, "closed");
    expect(errors).toMatchObject([{ closeCode: code, status: undefined, message: `no connection: ${code} no` }]);
  });

  it.each([1000, 3000, 3999])("with %i is the application's end, and no error", async (code) => {
    const { room, peers, errors } = await connectScripted();
    (await peers.take()).close(code, "done");
    await waitForState(room, "closed");
    expect(errors).toEqual([]);
  });

  it("of this side is no error, whatever its code", async () => {
    const { room, peers, errors } = await connectScripted();
    (await peers.take()).welcome();
    await waitForState(room, "open");
    room.close(4600, "left");
    expect(errors).toEqual([]);
  });
});
