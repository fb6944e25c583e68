import { execFile, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { App, WebSocketHandler } from "../../src/index.js";
import { Mailbox, start } from "../support/app.js";
import { command, missing } from "../support/parts.js";
import { startProxy } from "../support/proxy.js";

class Chat extends WebSocketHandler {
  onMessage(text: string) {
    this.sendTextToThisRoom(text);
  }
}

function startChat() {
  return start(new App().route("/chat/:channel", Chat, { http: true, history: { size: 10_000 } }));
}

describe.skipIf(missing("curl", "rooms over HTTP with curl"))("curl", () => {
  const run = promisify(execFile);

  test("listens with -N, sends with -d, and reads the history", async () => {
    const { port } = await startChat();
    const url = `http://127.0.0.1:${port}/chat/general`;
    const listening = spawn(command("curl"), ["-sN", url]);
    onTestFinished(() => void listening.kill("SIGKILL"));
    const lines = new Mailbox<string>();
    createInterface({ input: listening.stdout }).on("line", (line) => lines.put(line));
    const [first] = await lines.have(2);
    expect(first).toMatch(/^id: [\w-]+:0$/);
    const sent = await run(command("curl"), ["-s", "-w", "%{http_code}", "-d", "hello", url]);
    expect(sent.stdout).toBe("204");
    const all = await lines.have(5);
    expect(all.slice(2)).toEqual([expect.stringMatching(/^id: [\w-]+:1$/), "data: hello", ""]);
    const read = await run(command("curl"), ["-s", "-H", "Accept: application/json", url]);
    const position = all[2]?.slice("id: ".length);
    expect(JSON.parse(read.stdout)).toEqual({
      room: "/chat/general",
      position,
      publications: [{ position, text: "hello" }],
    });
  });
});

describe.skipIf(missing("python", "an event stream with Python"))("Python's standard library", () => {
  test("gets each message once and in order over 20 cuts", async () => {
    const { port, app } = await startChat();
    const proxy = await startProxy(port);
    const script = fileURLToPath(new URL("listen.py", import.meta.url));
    const child = spawn(command("python"), [script, "127.0.0.1", String(proxy.port), "/chat/a", "end"]);
    onTestFinished(() => void child.kill("SIGKILL"));
    child.stderr.pipe(process.stderr);
    const lines = new Mailbox<string>();
    createInterface({ input: child.stdout }).on("line", (line) => lines.put(line));
    const room = app.registry.room("/chat/a");
    const sent: string[] = [];
    const send = (count: number) => {
      for (let n = 0; n < count; n += 1) {
        sent.push(`message ${sent.length}`);
        room.sendText(sent.at(-1) ?? "");
      }
    };
    const seen = async (line: string) => {
      for (let known = 1; !(await lines.have(known)).includes(line); known = lines.all.length + 1);
    };
    for (let cut = 1; cut <= 20; cut += 1) {
      await seen(`connected ${cut}`);
      send(25);
      await seen(`message ${sent.at(-10)}`);
      proxy.cut();
      // Missed by the client, for certain.
      send(25);
      proxy.open();
    }
    await seen("connected 21");
    room.sendText("end");
    await seen("message end");
    const messages = lines.all.filter((line) => !line.startsWith("connected"));
    expect(messages).toEqual([...sent, "end"].map((text) => `message ${text}`));
  });
});
