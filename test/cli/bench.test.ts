import { describe, expect, it } from "vitest";
import { deferred } from "../../src/connection/clock.js";
import { App, EventHandler, On, WebSocketHandler } from "../../src/index.js";
import { start as startApp } from "../support/app.js";
import { missing } from "../support/parts.js";
import { patient, run, start } from "./process.js";
import { Terminal } from "./terminal.js";

class Echo extends WebSocketHandler {
  override onMessage(text: string): void {
    this.sendText(text);
  }
}

class Chat extends WebSocketHandler {
  override onJSON(message: unknown): void {
    this.sendJSONToThisRoom({ from: this.id, message });
  }
}

class Shout extends EventHandler {
  @On("say")
  onSay(text: string) {
    this.emitToThisRoom("said", { text });
  }
}

/** Answers when it has all messages of a run, so a client that waits for answers would send no second one. */
class Late extends WebSocketHandler {
  readonly #texts: string[] = [];
  override onMessage(text: string): void {
    this.#texts.push(text);
    if (this.#texts.length === 50) for (const one of this.#texts) this.sendText(one);
  }
}

/** Loses the third message, swaps the fifth and the sixth, and sends the last one twice. */
class Faulty extends WebSocketHandler {
  readonly #texts: string[] = [];
  override onMessage(text: string): void {
    this.#texts.push(text);
    if (this.#texts.length < 10) return;
    const [a = "", b = "", , d = "", e = "", f = "", ...rest] = this.#texts;
    for (const one of [a, b, d, f, e, ...rest, text]) this.sendText(one);
  }
}

class Mute extends WebSocketHandler {
  override onMessage(): void {
    this.sendText("~enfilade.something.else~");
  }
}

class Leaver extends WebSocketHandler {
  override onMessage(): void {
    this.close(4444, "enough\x1b[2J");
  }
}

async function startServer(): Promise<string> {
  const app = new App()
    .route("/echo/:n", Echo)
    .route("/chat/:n", Chat)
    .route("/shout", Shout)
    .route("/late", Late)
    .route("/faulty", Faulty)
    .route("/mute", Mute)
    .route("/leaver", Leaver);
  return (await startApp(app)).url;
}

/** Runs a bench of a hundred messages with JSON output. */
async function bench(url: string, ...options: string[]) {
  const args = ["bench", url, "--rate", "200", "--duration", "0.5", "--json", "--wait", "10", ...options];
  const { code, out, err } = await run(args);
  return { code, err, report: out === "" ? undefined : JSON.parse(out) };
}

describe("enfilade bench", patient, () => {
  it("counts the messages that come back, each connection in a room of its own with {n}", async () => {
    const url = await startServer();
    const { code, report } = await bench(`${url}/echo/{n}`, "--connections", "7");
    expect(report).toMatchObject({ connections: 7, sent: 100, returned: 100, received: 100, missing: 0, problems: [] });
    expect(code).toBe(0);
    const { p50, p90, p99, max } = report.latencyMs;
    expect([p50, p90, p99, max].toSorted((a, b) => a - b)).toEqual([p50, p90, p99, max]);
    expect(p50).toBeGreaterThan(0);
  });

  it("counts what a room sends to all of its members, also inside of other messages", async () => {
    const url = await startServer();
    const { code, report } = await bench(`${url}/chat/a`, "--connections", "5");
    expect(report).toMatchObject({ sent: 100, returned: 100, received: 500, missing: 0, late: 0, repeated: 0 });
    expect(code).toBe(0);
  });

  it("sends events with --event", async () => {
    const url = await startServer();
    const { code, report } = await bench(`${url}/shout`, "--event", "say", "--connections", "2", "--size", "500");
    expect(report).toMatchObject({ sent: 100, received: 200, messageBytes: 500 });
    expect(code).toBe(0);
  });

  it("sends on its schedule, whether or not the server has answered", async () => {
    const url = await startServer();
    const { code, report } = await bench(`${url}/late`, "--connections", "2");
    expect(report).toMatchObject({ sent: 100, returned: 100, missing: 0 });
    expect(code).toBe(0);
  });

  it("finds messages that are lost, out of order or repeated", async () => {
    const url = await startServer();
    const { code, report } = await bench(`${url}/faulty`, "--connections", "10", "--wait", "3");
    // Of the ten messages of each connection, one is lost, two are swapped, and one comes twice.
    expect(report).toMatchObject({ sent: 100, received: 100, missing: 10, late: 10, repeated: 10 });
    expect(report.problems).toEqual([
      "10 messages did not arrive",
      "10 messages arrived after a later one of their sender",
      "10 messages arrived again",
    ]);
    expect(code).toBe(1);
  });

  it("says what to do if no message comes back", async () => {
    const url = await startServer();
    const { code, report } = await bench(`${url}/mute`, "--wait", "0.1");
    expect(report).toMatchObject({ received: 0, foreign: 100, latencyMs: { p50: 0, max: 0 } });
    expect(report.problems).toEqual([expect.stringContaining("no message came back; the handler must answer")]);
    expect(code).toBe(1);
  });

  it("reports connections that end too early, and does not wait for the end of the schedule", async () => {
    const url = await startServer();
    const { code, report } = await bench(`${url}/leaver`, "--connections", "2", "--wait", "0", "--duration", "3600");
    expect(report).toMatchObject({ ends: ["4444 enough\\u001b[2J", "4444 enough\\u001b[2J"] });
    expect(report.problems[0]).toBe("2 connections ended too early: 4444 enough\\u001b[2J");
    expect(code).toBe(1);
  });

  it("exits with 1 if a connection is refused", async () => {
    const url = await startServer();
    const { code, err } = await bench(`${url}/nowhere`);
    expect(err).toBe(
      "enfilade: connection 0 could not be opened: 1006 the server answered with HTTP 404, and opened no WebSocket\n",
    );
    expect(code).toBe(1);
  });

  it("prints a report as text, and what it does not measure", async () => {
    const url = await startServer();
    const { code, out } = await run(["bench", `${url}/echo/a`, "--rate", "100", "--duration", "0.2"]);
    expect(out).toMatch(/^10 connections, 20 messages sent in [\d.]+ s \(\d+ per second\)\n20 messages arrived/);
    expect(out).toMatch(/\nlatency +p50 [\d.]+ ms +p90 [\d.]+ ms +p99 [\d.]+ ms +max [\d.]+ ms\nown delay p50/);
    expect(out).toContain("It does not measure");
    expect(code).toBe(0);
  });

  it.skipIf(missing("python", "the progress bar of enfilade bench"))(
    "shows a bar on a terminal, then the report",
    async () => {
      const url = await startServer();
      const terminal = new Terminal(["bench", `${url}/echo/a`, "--duration", "2"], 120);
      await terminal.shows((lines) => lines.some((line) => /^\[#*\.*\] \d+ arrived, p99 [\d.]+ ms$/.test(line)));
      expect((await terminal.running.result).code).toBe(0);
      expect(terminal.lines[0]).toMatch(/^10 connections, 200 messages sent/);
    },
  );

  it.skipIf(missing("python", "enfilade bench on a terminal"))(
    "shows its progress in one line of a terminal with 20 columns",
    async () => {
      const url = await startServer();
      const terminal = new Terminal(["bench", `${url}/echo/a`, "--duration", "2"], 20);
      await terminal.shows((lines) => lines.some((line) => /^\d+ arrived, p99 [\d.]+/.test(line)));
      expect(terminal.lines).toHaveLength(1);
      expect((await terminal.running.result).code).toBe(0);
    },
  );

  it("prints what it has when it is interrupted, and exits with 130", async () => {
    const { app, url } = await startApp(new App().route("/echo", Echo));
    const arrived = new Promise<void>((resolve) => app.on("open", () => resolve()));
    const running = start(["bench", `${url}/echo`, "--duration", "3600", "--json"]);
    await arrived;
    running.signal("SIGINT");
    const { code, out } = await running.result;
    expect([code, JSON.parse(out)]).toEqual([130, expect.objectContaining({ connections: 10 })]);
  });

  it("waits for the messages that are on their way when it is interrupted", async () => {
    let answers = 0;
    const { promise: hundred, resolve } = deferred<void>();
    class LateEcho extends WebSocketHandler {
      override onMessage(text: string): void {
        setTimeout(() => {
          answers += 1;
          if (answers === 100) resolve();
          this.sendText(text);
        }, 200);
      }
    }
    const { url } = await startApp(new App().route("/echo", LateEcho));
    const running = start(["bench", `${url}/echo`, "--duration", "3600", "--json"]);
    await hundred;
    running.signal("SIGINT");
    const { code, out } = await running.result;
    const { sent, returned, problems } = JSON.parse(out);
    expect([code, problems, returned]).toEqual([130, [], sent]);
    expect(sent).toBe(answers);
  });

  it.each([
    ["--connections", "0"],
    ["--connections", "5001"],
    ["--connections", "1.5"],
    ["--rate", "100001"],
    ["--duration", "3601"],
    ["--size", "47"],
    ["--rate", "fast"],
  ])("refuses %s %s", async (option, value) => {
    const { code, err } = await run(["bench", "ws://127.0.0.1:1/", option, value]);
    expect([code, err.startsWith(`enfilade: ${option} takes a `)]).toEqual([2, true]);
  });
});
