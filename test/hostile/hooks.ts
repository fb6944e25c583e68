import {
  type App,
  anonymous,
  type ConnectionRequest,
  EventHandler,
  jsonEvents,
  On,
  WebSocketHandler,
} from "../../src/index.js";
import type { TestClient } from "../../src/testing/index.js";
import { SlowClient } from "../support/slowClient.js";
import type { Outcome, Trial, TrialSetup } from "./trial.js";
import type { Pattern } from "./values.js";

/** One hook of an application, how to make it fail, and what may follow. */
export interface HookCase {
  readonly name: string;
  readonly patterns: readonly Pattern[];
  build(trial: Trial): TrialSetup;
  /** Makes a client cause the call of the hook. Resolves with what the client got. */
  provoke(trial: Trial): Promise<number | string>;
  readonly expected: Outcome;
  /** What follows if the hook is a getter, where that differs: the library reads some hooks when a client connects. */
  readonly ofGetter?: Outcome;
}

const sync: readonly Pattern[] = ["throws"];
const async: readonly Pattern[] = ["throws", "rejects", "rejects by a thenable", "returns a broken thenable"];
const method: readonly Pattern[] = [...async, "is a getter"];

const refused: Outcome = { client: 500, closes: 0, reported: 1, logged: 0 };
const closed: Outcome = { client: 1011, closes: 1, reported: 1, logged: 0 };
const answered: Outcome = { client: "internal", closes: 1, reported: 1, logged: 0 };
const unnoticed: Outcome = { client: "open", closes: 1, reported: 1, logged: 0 };
const logged: Outcome = { client: "open", closes: 1, reported: 0, logged: 1 };

/** The base of all handlers here: echoes, and counts the calls of `onClose`. */
function targetOf(trial: Trial, ...hooks: readonly string[]) {
  return class Target extends WebSocketHandler<object, unknown> {
    constructor() {
      super();
      for (const hook of hooks) trial.install(this, hook);
    }
    onMessage(text: string): unknown {
      this.sendText(text);
      return undefined;
    }
    override onClose(): unknown {
      trial.closes += 1;
      return undefined;
    }
  };
}

/** Opens a connection: resolves with the status of a refusal, or with the code of a close. */
async function open(trial: Trial): Promise<number | string> {
  try {
    return (await (await trial.open()).closed).code;
  } catch (error) {
    return Number(Reflect.get(Object(error), "status"));
  }
}

/** Sends a message, and resolves with the code of the close that follows. */
async function send(trial: Trial): Promise<number | string> {
  const client = await trial.open();
  client.sendText("go");
  return (await client.closed).code;
}

/** Sends an event, and resolves with the code of its error. The connection stays open. */
async function ask(trial: Trial): Promise<number | string> {
  const client = await trial.open();
  const answers: string[] = [];
  for (const id of [1, 2]) {
    client.sendJSON({ event: id === 1 ? "go" : "other", id });
    answers.push(String(Reflect.get(Object(Reflect.get(Object(await client.readJSON()), "error")), "code")));
  }
  await client.close();
  return answers[1] === "unknown_event" ? (answers[0] ?? "") : "the next event had no answer";
}

/** Resolves with `open` if the connection still works, and closes it. */
async function work(client: TestClient): Promise<string> {
  client.sendText("still here");
  for (;;) if ((await client.readText()).includes("still here")) break;
  await client.close();
  return "open";
}

async function openAndWork(trial: Trial): Promise<number | string> {
  return work(await trial.open());
}

function schemaOf(act: () => unknown) {
  return { "~standard": { version: 1, vendor: "test", validate: () => act() as { value: object } } } as const;
}

function lifecycle(trial: Trial, hook: "onConnect" | "onClose" | "onRoomJoin" | "onRoomLeave" | "authorizeJoin") {
  const Target = targetOf(trial, hook);
  class Hooked extends Target {
    override onMessage(text: string): unknown {
      this.sendText(text);
      if (text !== "go") return undefined;
      const joined = this.join("/elsewhere");
      this.leave(hook === "onRoomLeave" ? "/elsewhere" : "/nowhere");
      return joined;
    }
  }
  const called = hook === "authorizeJoin" ? () => trial.act() ?? true : trial.act;
  const hooked = function (this: WebSocketHandler): unknown {
    if (hook === "onClose") trial.closes += 1;
    return called();
  };
  Object.defineProperty(Hooked.prototype, hook, { value: hooked, configurable: true, writable: true });
  return Hooked;
}

/** A handler whose reading method is the hook. */
function reading(trial: Trial, hook: "serve" | "onJSON" | "onMessage" | "onBinary") {
  class Reading extends WebSocketHandler {
    constructor() {
      super();
      trial.install(this, hook);
    }
    override onClose(): void {
      trial.closes += 1;
    }
  }
  const value = (): unknown => trial.act();
  Object.defineProperty(Reading.prototype, hook, { value, configurable: true, writable: true });
  if (hook === "onBinary") Object.defineProperty(Reading.prototype, "onMessage", { value: () => undefined });
  return Reading;
}

function events(trial: Trial, schema: object | undefined, onGo: () => unknown) {
  class Events extends EventHandler {
    static events = { go: { method: "answer", ...(schema && { schema }) } };
    constructor() {
      super();
      trial.install(this, "answer");
    }
    answer(): unknown {
      return onGo();
    }
    override onClose(): void {
      trial.closes += 1;
    }
  }
  return Events;
}

function decorated(trial: Trial) {
  class Decorated extends EventHandler {
    @On("go", { schema: schemaOf(() => ({ value: {} })) })
    go(): unknown {
      return trial.act();
    }
    override onClose(): void {
      trial.closes += 1;
    }
  }
  return Decorated;
}

/** A client that lags and then catches up, so that `onDrain` is called. */
async function lag(trial: Trial): Promise<number | string> {
  const client = new SlowClient(trial.app, "/target", "");
  await new Promise((resolve) => setImmediate(resolve));
  for (const connection of trial.app.registry.connections) {
    if (connection.request.path !== "/target") continue;
    for (let n = 0; n < 50; n += 1) connection.sendJSON("x".repeat(1_000), { policy: { kind: "latest", key: `${n}` } });
  }
  await new Promise((resolve) => setImmediate(resolve));
  client.readAll();
  return (await client.closes.have(1))[0] ?? "";
}

const refreshed: HookCase = {
  name: "authorize for a renewed token",
  patterns: async,
  build: (trial) => ({
    handler: targetOf(trial),
    app: { authorize: ({ token }: ConnectionRequest) => (token === "new" ? trial.act() : anonymous) as never },
  }),
  provoke: async (trial) => {
    const client = await trial.open(["enfilade.v1"]);
    await client.readJSON();
    client.sendJSON({ type: "refresh", token: "new" });
    return (await client.closed).code;
  },
  expected: closed,
};

function listening(name: string, prepare: (trial: Trial, app: App) => void, expected: Outcome): HookCase {
  return {
    name,
    patterns: async,
    build: (trial) => ({
      handler: targetOf(trial),
      route: { presence: { mode: "full", leaveGraceMs: 0 } },
      prepare: (app) => prepare(trial, app),
    }),
    provoke: openAndWork,
    expected,
  };
}

/** The hooks that decide whether a client may connect: the client is refused. */
const handshakes: readonly HookCase[] = [
  {
    name: "the constructor",
    patterns: sync,
    build: (trial) => ({
      handler: class extends targetOf(trial) {
        constructor() {
          super();
          trial.act();
        }
      },
    }),
    provoke: open,
    expected: refused,
  },
  {
    name: "create",
    patterns: async,
    build: (trial) => ({ handler: targetOf(trial), app: { create: (type) => (trial.act() ?? new type()) as never } }),
    provoke: open,
    expected: refused,
  },
  {
    name: "origins",
    patterns: sync,
    build: (trial) => ({ handler: targetOf(trial), route: { origins: () => trial.act() === undefined } }),
    provoke: async ({ app }) => {
      const client = { refused: (_status: number) => undefined as unknown };
      const status = new Promise<number>((resolve) => {
        client.refused = resolve;
      });
      const transport = new SlowClient(app, "/nowhere", "");
      Object.assign(transport, { refuse: (refusal: { status: number }) => client.refused(refusal.status) });
      app.accept(transport, { url: "/target", headers: { host: "here", origin: "https://there" } });
      return status;
    },
    expected: refused,
  },
  {
    name: "the schema of the parameters",
    patterns: async,
    build: (trial) => ({ handler: targetOf(trial), route: { params: schemaOf(() => trial.act() ?? { value: {} }) } }),
    provoke: open,
    expected: refused,
  },
  {
    name: "authorize of the app",
    patterns: async,
    build: (trial) => ({
      handler: targetOf(trial),
      app: { authorize: ({ path }) => (path === "/target" ? trial.act() : anonymous) as never },
    }),
    provoke: open,
    expected: refused,
  },
  {
    name: "authorize of the handler",
    patterns: method,
    build: (trial) => ({
      handler: class extends targetOf(trial, "authorize") {
        override authorize(): typeof anonymous {
          return trial.act() as typeof anonymous;
        }
      },
    }),
    provoke: open,
    expected: refused,
  },
];

/** The hooks of an open connection whose failure closes it. */
const closing: readonly HookCase[] = [
  ...(["serve", "onJSON", "onMessage"] as const).map(
    (hook): HookCase => ({
      name: hook,
      patterns: method,
      build: (trial) => ({ handler: reading(trial, hook) }),
      provoke: async (trial) => {
        const client = await trial.open();
        client.sendText("1");
        return (await client.closed).code;
      },
      expected: closed,
    }),
  ),
  {
    name: "onBinary",
    patterns: method,
    build: (trial) => ({ handler: reading(trial, "onBinary") }),
    provoke: async (trial) => {
      const client = await trial.open();
      client.sendBinary(new Uint8Array([1]));
      return (await client.closed).code;
    },
    expected: closed,
  },
  {
    name: "onConnect",
    patterns: method,
    build: (trial) => ({ handler: lifecycle(trial, "onConnect") }),
    provoke: open,
    expected: closed,
  },
  ...(["authorizeJoin", "onRoomJoin", "onRoomLeave"] as const).map(
    (hook): HookCase => ({
      name: hook,
      patterns: method,
      build: (trial) => ({ handler: lifecycle(trial, hook) }),
      provoke: send,
      expected: closed,
    }),
  ),
  {
    name: "onDrain",
    patterns: method,
    build: (trial) => ({
      handler: class extends targetOf(trial, "onDrain") {
        override onDrain(): unknown {
          return trial.act();
        }
      },
      route: { limits: { highWaterBytes: 1_000 } },
    }),
    provoke: lag,
    expected: closed,
  },
  {
    name: "an interceptor",
    patterns: async,
    build: (trial) => ({
      handler: targetOf(trial),
      prepare: (app) => {
        app.intercept(({ request }, _message, next) => (request.path === "/target" ? trial.act() : next()));
      },
    }),
    provoke: send,
    expected: closed,
  },
  {
    name: "encode of an event protocol",
    patterns: sync,
    build: (trial) => ({
      handler: events(trial, undefined, () => "reply"),
      route: { eventProtocol: { ...jsonEvents, encode: (one) => String(trial.act() ?? jsonEvents.encode(one)) } },
    }),
    provoke: async (trial) => {
      const client = await trial.open();
      client.sendJSON({ event: "go", id: 1 });
      return (await client.closed).code;
    },
    expected: closed,
  },
  refreshed,
];

/** Hooks whose failure leaves the connection open. */
const open_: readonly HookCase[] = [
  {
    name: "a method of static events",
    patterns: method,
    build: (trial) => ({ handler: events(trial, undefined, trial.act) }),
    provoke: ask,
    expected: answered,
  },
  {
    name: "a method with @On and a schema",
    patterns: async,
    build: (trial) => ({ handler: decorated(trial) }),
    provoke: ask,
    expected: answered,
  },
  {
    name: "the schema of an event",
    patterns: async,
    build: (trial) => ({
      handler: events(
        trial,
        schemaOf(() => trial.act()),
        () => "reply",
      ),
    }),
    provoke: ask,
    expected: answered,
  },
  {
    name: "an interceptor of an event",
    patterns: async,
    build: (trial) => ({
      handler: events(trial, undefined, () => "reply"),
      prepare: (app) => {
        let calls = 0;
        app.intercept(({ request }, _message, next) => {
          if (request.path !== "/target") return next();
          calls += 1;
          return calls % 2 === 1 ? trial.act() : next();
        });
      },
    }),
    provoke: ask,
    expected: answered,
  },
  {
    name: "onClose",
    patterns: async,
    build: (trial) => ({ handler: lifecycle(trial, "onClose") }),
    provoke: openAndWork,
    expected: unnoticed,
  },
  {
    name: "presence.show",
    patterns: ["throws", "rejects"],
    build: (trial) => ({
      handler: targetOf(trial),
      route: { presence: { mode: "full", leaveGraceMs: 0, show: () => trial.act() } },
    }),
    provoke: openAndWork,
    expected: unnoticed,
  },
  listening("a listener of the registry", ({ act }, { registry }) => registry.on("join", act), unnoticed),
  listening("a listener of the registry for rooms", ({ act }, { registry }) => registry.on("room", act), unnoticed),
  listening("a listener of open", (trial, app) => app.on("open", trial.act), logged),
  listening("a listener of close", (trial, app) => app.on("close", trial.act), logged),
  {
    name: "a listener of errors",
    patterns: async,
    build: (trial) => ({
      handler: class extends targetOf(trial) {
        override onMessage(): void {
          throw new Error("the first error");
        }
      },
      prepare: (app) => app.on("error", trial.act),
    }),
    provoke: send,
    expected: { client: 1011, closes: 1, reported: 1, logged: 1 },
  },
  {
    name: "onError",
    patterns: method,
    build: (trial) => ({
      handler: class extends targetOf(trial, "onError") {
        override onMessage(): void {
          throw new Error("the first error");
        }
        override onError(): unknown {
          return trial.act();
        }
      },
    }),
    provoke: send,
    // The first error, and that of onError.
    expected: { client: 1011, closes: 1, reported: 2, logged: 0 },
  },
];

/** Every hook of an application, and what follows if it fails. */
export const hookCases: readonly HookCase[] = [...handshakes, ...closing, ...open_];

/** Hooks that the library looks up when a client connects, so that a getter fails there. */
const lookedUpAtOpening = ["authorizeJoin", "onRoomJoin", "onRoomLeave"];

export function expectedOf({ expected, ofGetter }: HookCase, pattern: Pattern): Outcome {
  return pattern === "is a getter" ? (ofGetter ?? expected) : expected;
}

/** Makes the hook fail once with `value`. Resolves with what followed, and whether another client was still served. */
export async function tryHook(
  { name, provoke }: HookCase,
  trial: Trial,
  pattern: Pattern,
  value: unknown,
): Promise<Outcome & { readonly isNeighbourServed: boolean }> {
  trial.arm(pattern, value);
  const isEarly = pattern === "is a getter" && lookedUpAtOpening.includes(name);
  const outcome = await trial.observe(isEarly ? open : provoke);
  return { ...outcome, isNeighbourServed: await trial.servesNeighbour() };
}
