import { format } from "node:util";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { App, type Logger, WebSocketHandler } from "../../src/index.js";
import { connectURL } from "../../src/testing/index.js";
import { expectedOf, hookCases, tryHook } from "./hooks.js";
import { Trial } from "./trial.js";
import { hostileValues } from "./values.js";

const unhandled: unknown[] = [];
const onUnhandled = (error: unknown) => unhandled.push(error);

beforeEach(() => {
  unhandled.length = 0;
  process.on("unhandledRejection", onUnhandled).on("uncaughtException", onUnhandled);
});

afterEach(() => {
  process.off("unhandledRejection", onUnhandled).off("uncaughtException", onUnhandled);
});

/** The hooks that may return anything, and those that may take any time. */
const returning = hookCases.filter(({ name }) => !["origins", "encode of an event protocol"].includes(name));
const asynchronous = returning.filter(({ patterns }) => patterns.includes("rejects"));
const refusing = /^(create|authorize of|the schema of the parameters)/;

const cells = hookCases.flatMap((hook) => hook.patterns.map((pattern) => [hook.name, pattern, hook] as const));

describe("a hook that fails with any value", () => {
  it.each(cells)("(%s %s) ends at most its connection, and is reported once", async (_name, pattern, hook) => {
    const trial = new Trial();
    await trial.start(hook.build(trial));
    const expected = JSON.stringify({ ...expectedOf(hook, pattern), isNeighbourServed: true });
    const wrong: string[] = [];
    for (const { name, make } of hostileValues) {
      const outcome = JSON.stringify(await tryHook(hook, trial, pattern, make()));
      if (outcome !== expected) wrong.push(`with ${name}: ${outcome}`);
    }
    expect(wrong, `expected ${expected}`).toEqual([]);
    expect(unhandled).toHaveLength(0);
  });
});

describe("a hook that returns any value", () => {
  it.each(returning.map((hook) => [hook.name, hook] as const))(
    "(%s) ends at most its connection, and is reported at most once",
    async (_name, hook) => {
      const trial = new Trial();
      await trial.start(hook.build(trial));
      for (const { name, make } of hostileValues) {
        const reported = trial.reports.length;
        trial.arm("returns the value", make());
        const client = await trial.use();
        const errors = trial.reports.length - reported;
        // The hooks of the room are two.
        const isRight = client === "open" ? errors <= 2 : [400, 500].includes(client) && errors <= 1;
        expect({ name, client, errors, isRight }).toMatchObject({ isRight: true });
        expect(await trial.servesNeighbour()).toBe(true);
      }
      expect(unhandled).toHaveLength(0);
    },
  );
});

describe("a hook that never ends", () => {
  it.each(asynchronous.map((hook) => [hook.name, hook] as const))(
    "(%s) keeps neither its client nor others waiting",
    async (_name, hook) => {
      const trial = new Trial();
      await trial.start(hook.build(trial));
      trial.arm("hangs", undefined);
      const status = hook.name === "create" ? 500 : 503;
      const isRefused = refusing.test(hook.name);
      expect(await trial.use()).toBe(isRefused ? status : "open");
      expect([trial.closes, await trial.servesNeighbour()]).toEqual([isRefused ? 0 : 1, true]);
      expect(unhandled).toHaveLength(0);
    },
  );
});

describe("a close with a wrong code", () => {
  const codes: readonly unknown[] = [
    0,
    999,
    1005,
    1006,
    1011,
    2_999,
    5_000,
    -1,
    1e9,
    4_000.5,
    Number.NaN,
    "4000",
    null,
  ];
  const values = [...codes, ...hostileValues.map(({ make }) => make()).filter((value) => value !== undefined)];

  it.each(["close", "requestClose"] as const)(
    "by %s is an error of the handler, and closes with 1011",
    async (name) => {
      let value: unknown;
      class Closing extends WebSocketHandler {
        onMessage(): void {
          Reflect.apply(this.connection[name], this.connection, [value, "reason"]);
        }
        override onClose(): void {
          trial.closes += 1;
        }
      }
      const trial = new Trial();
      await trial.start({ handler: Closing });
      for (const one of values) {
        value = one;
        const outcome = await trial.observe(async () => {
          const client = await trial.open();
          client.sendText("go");
          return (await client.closed).code;
        });
        expect(outcome).toEqual({ client: 1011, closes: 1, reported: 1, logged: 0 });
      }
      expect(unhandled).toHaveLength(0);
    },
  );

  it("has its reason cut to 123 bytes of whole characters", async () => {
    class Closing extends WebSocketHandler {
      onMessage(): void {
        this.close(4000, "é€".repeat(10_000));
      }
    }
    const trial = new Trial();
    await trial.start({ handler: Closing });
    const client = await trial.open();
    client.sendText("go");
    expect(await client.closed).toMatchObject({ code: 4000, reason: `${"é€".repeat(24)}é` });
  });
});

describe("a logger", () => {
  const broken: Record<string, unknown> = {
    throws: () => {
      throw new Error("the log is full");
    },
    rejects: () => Promise.reject(new Error("the log is full")),
    "returns a revoked proxy": () => hostileValues.find(({ name }) => name === "a revoked proxy")?.make(),
    "is missing": undefined,
    "is no function": 7,
  };

  it.each(Object.entries(broken))(
    "whose method %s harms nothing, and the line goes to the console",
    async (_name, log) => {
      const lines: unknown[] = [];
      vi.spyOn(console, "error").mockImplementation((...line) => void lines.push(line));
      onTestFinished(() => void vi.restoreAllMocks());
      class Failing extends WebSocketHandler {
        onMessage(): void {
          throw new Error("the error of the handler");
        }
        onMesage(): void {
          // Misspelled, which is worth a warning.
        }
      }
      const logger: unknown = { warn: log, error: log };
      const app = new App({ logger: logger as Logger }).route("/target", Failing);
      onTestFinished(() => app.close());
      const { url } = await app.listen(0, "127.0.0.1");
      for (let n = 0; n < 2; n += 1) {
        const client = await connectURL(`${url}/target`);
        client.sendText("go");
        expect((await client.closed).code).toBe(1011);
      }
      expect(lines.join("\n")).toContain('did you mean "onMessage"?');
      expect(lines.join("\n")).toContain("the error of the handler");
      expect(unhandled).toHaveLength(0);
    },
  );

  it("that is the console writes a line for each error, also for one that cannot be inspected", async () => {
    const lines: string[] = [];
    // As the console of Node.js, which inspects each value.
    vi.spyOn(console, "error").mockImplementation((...line) => void lines.push(format(...line)));
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    onTestFinished(() => void vi.restoreAllMocks());
    let value: unknown;
    class Failing extends WebSocketHandler {
      onMessage(): void {
        throw value;
      }
    }
    const app = new App().route("/target", Failing);
    onTestFinished(() => app.close());
    const { url } = await app.listen(0, "127.0.0.1");
    for (const { make } of hostileValues) {
      value = make();
      lines.length = 0;
      const client = await connectURL(`${url}/target`);
      client.sendText("go");
      expect((await client.closed).code).toBe(1011);
      expect(lines).toHaveLength(1);
    }
    expect(unhandled).toHaveLength(0);
  });
});
