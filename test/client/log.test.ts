import { describe, expect, it } from "vitest";
import { connect, type LogElement } from "../../src/client/index.js";
import { fakeSockets } from "./fakeSocket.js";
import { connectScripted, waitForState } from "./scripted.js";

/** The part of an element that holds text. */
class Pre implements LogElement {
  readonly texts: { readonly text: string; remove(): void }[] = [];

  append(text: string): void {
    const node = { text, remove: () => this.texts.splice(this.texts.indexOf(node), 1) };
    this.texts.push(node);
  }

  get lastChild() {
    return this.texts.at(-1) ?? null;
  }
}

const hostile = "\n2026-01-01 admin logged in\r\u001b[2J\u009b31m\u0000\u2028\u2029\u202e\u200b\u{e0001}\ud800";

describe("the debug log", () => {
  it("has frames and states as lines", async () => {
    const lines: string[] = [];
    const { room, peers } = await connectScripted({ debug: (line) => lines.push(line) });
    const peer = await peers.take();
    peer.send({ type: "welcome", id: "c", room: "/x", heartbeatMs: 0 });
    await waitForState(room, "open");
    room.sendText("hi");
    await peer.received.have(1);
    room.close(3000, "bye");
    expect(lines).toEqual([
      '← {"type":"welcome","id":"c","room":"/x","heartbeatMs":0}',
      "open {}",
      '→ {"type":"message","text":"hi","id":1}',
      'closed {"code":3000,"reason":"bye"}',
    ]);
  });

  it("has only single lines of text", async () => {
    const lines: string[] = [];
    const { peers } = await connectScripted({ debug: (line) => lines.push(line) });
    const peer = await peers.take();
    peer.sendRaw(hostile);
    await peer.roundtrip();
    expect(lines).toHaveLength(1);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
    expect(lines[0]).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202e\u200b]|[^\P{C}]/u);
    expect(lines[0]).toContain("\\u{a}2026-01-01 admin logged in\\u{d}\\u{1b}[2J\\u{9b}31m\\u{0}\\u{2028}\\u{2029}");
  });

  it("escapes the reason of a close too", async () => {
    const lines: string[] = [];
    const { room, peers } = await connectScripted({ debug: (line) => lines.push(line) });
    (await peers.take()).close(4000, "a\nb\u202e");
    await waitForState(room, "waiting");
    expect(lines.at(-1)).toContain("a\\nb\\u{202e}");
  });

  it("cuts a long line, also within a character", async () => {
    const lines: string[] = [];
    const { peers } = await connectScripted({ debug: (line) => lines.push(line) });
    const peer = await peers.take();
    peer.sendRaw(`${"x".repeat(297)}😀${"\n".repeat(100_000)}`);
    await peer.roundtrip();
    expect(lines[0]).toBe(`← ${"x".repeat(297)}\\u{d83d}`);
  });

  it("never contains the token", async () => {
    const lines: string[] = [];
    const { room, peers } = await connectScripted({ token: "c2VjcmV0", debug: (line) => lines.push(line) });
    (await peers.take()).close(1011);
    await waitForState(room, "waiting");
    expect(lines.join()).not.toMatch(/c2VjcmV0|YzJWamNtVjA/);
  });

  it("reports an error of the log function, and continues", async () => {
    const { room, peers, errors } = await connectScripted({
      debug: () => {
        throw new Error("no log");
      },
    });
    (await peers.take()).welcome();
    await waitForState(room, "open");
    expect(errors[0]?.message).toBe("no log");
  });

  it("leaves no request running when the log function closes the room", async () => {
    const { room, peers, errors } = await connectScripted({ debug: (line) => line.startsWith("→") && room.close() });
    (await peers.take()).welcome();
    await waitForState(room, "open");
    await expect(room.request("join")).rejects.toMatchObject({ code: "closed" });
    expect(errors).toEqual([]);
  });

  it("keeps the order when the log function sends", async () => {
    const { room, peers } = await connectScripted({ debug: (line) => line.includes('"one"') && room.sendText("two") });
    const peer = await peers.take();
    peer.welcome();
    await waitForState(room, "open");
    room.sendText("one");
    expect(await peer.received.have(2)).toMatchObject([{ text: "one" }, { text: "two" }]);
  });

  it("goes to the console if debug is true", async () => {
    const lines: unknown[] = [];
    const log = console.debug;
    console.debug = (line: unknown) => lines.push(line);
    const { room } = await connectScripted({ debug: true });
    room.close();
    console.debug = log;
    expect(lines).toEqual(['closed {"code":1000,"reason":""}']);
  });
});

describe("the log in a page", () => {
  it("is plain text of any content, with a bounded number of lines", async () => {
    const { room, peers } = await connectScripted();
    const pre = new Pre();
    pre.append("what the page wrote");
    const detach = room.attachLog(pre, 3);
    const peer = await peers.take();
    peer.welcome();
    for (const data of ["<img src=x onerror=alert(1)>", 2, 3]) peer.send({ type: "message", data });
    await peer.roundtrip();
    expect(pre.texts.map(({ text }) => text)).toEqual([
      "what the page wrote",
      '← {"type":"message","data":"<img src=x onerror=alert(1)>"}\n',
      '← {"type":"message","data":2}\n',
      '← {"type":"message","data":3}\n',
    ]);
    detach();
    peer.send({ type: "message", data: 4 });
    await peer.roundtrip();
    expect(pre.texts).toHaveLength(4);
  });

  it("keeps 500 lines by default", async () => {
    const { room, peers } = await connectScripted();
    const pre = new Pre();
    room.attachLog(pre);
    const peer = await peers.take();
    for (let count = 0; count < 510; count += 1) peer.send({ type: "message", data: count });
    await peer.roundtrip();
    expect(pre.texts).toHaveLength(500);
  });
});

describe("an error without a listener", () => {
  it("is shown on the console, with the server's text escaped", async () => {
    const { WebSocket, made } = fakeSockets();
    const reported: unknown[] = [];
    const log = console.error;
    console.error = (error: unknown) => reported.push(error);
    const room = connect("ws://localhost/x", { WebSocket });
    room.on("message", () => {
      throw new Error("ours");
    });
    const socket = await made.take();
    socket.welcome();
    room.sendText("hi");
    socket.frame({ type: "reply", id: 1, error: { code: "full", message: hostile } });
    socket.frame({ type: "message", data: 1 });
    await Promise.resolve();
    socket.tell("message", { data: hostile });
    console.error = log;
    const [refusal, ...others] = reported;
    expect(refusal).toMatch(/^full: [\x20-\x7e]*$/);
    expect(others).toEqual([new Error("ours"), new Error("a frame is not JSON")]);
    expect(others.map((error) => Object.keys(error ?? {}))).toEqual([[], []]);
    room.close();
  });
});
