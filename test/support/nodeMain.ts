/**
 * A node in a process of its own: `node --import tsx nodeMain.ts <settings as JSON>`, with an IPC channel.
 *
 * It answers {@link Command}, and reports on its own: see {@link Report}.
 */
import { App, type Limits, type Position, type RouteOptions, type SignalOptions } from "../../src/index.js";
import { Talker } from "../backplane/talker.js";
import { backplaneOf, type EngineAddress } from "./engineAddress.js";

/** The settings of a node. */
export interface NodeSettings {
  readonly engine: EngineAddress;
  /** Options of the backplane. */
  readonly backplane?: object;
  readonly limits?: Partial<Limits>;
  /** Routes with their options. */
  readonly routes: Readonly<Record<string, RouteOptions>>;
  /** Options of `app.handleSignals()`. Without them it is not called. */
  readonly signals?: SignalOptions;
}

/** A publisher that runs until it is stopped. Its ids are `<name>-0`, `<name>-1`, … */
export interface SteadyPublishing {
  readonly path: string;
  readonly name: string;
  readonly perSecond: number;
  /** The publisher waits for the answer of each publication with this number. Default: it waits for none. */
  readonly awaitEach?: number;
}

export type Command =
  | { readonly do: "publish"; readonly path: string; readonly id: string; readonly options?: object }
  | { readonly do: "start"; readonly publishing: SteadyPublishing }
  | { readonly do: "rest" }
  | { readonly do: "subscribe"; readonly path: string }
  | { readonly do: "history"; readonly path: string }
  | { readonly do: "status" }
  | { readonly do: "drain"; readonly withinMs: number }
  | { readonly do: "close" };

/** An accepted publication. */
export type Accepted = readonly [id: string, position: Position | undefined];
/** What a subscription got, with the number that it was told to have missed before it. */
export type Heard = readonly [id: string, position: Position | undefined, missed: number | undefined];

export type Report =
  | { readonly kind: "listens"; readonly port: number }
  | { readonly kind: "answer"; readonly to: number; readonly value?: unknown; readonly error?: NodeError }
  | { readonly kind: "accepted"; readonly all: readonly Accepted[] }
  | { readonly kind: "rejected"; readonly all: readonly NodeError[] }
  | { readonly kind: "heard"; readonly all: readonly Heard[] }
  | { readonly kind: "error"; readonly error: NodeError }
  | { readonly kind: "lagged"; readonly missed: number | undefined }
  | { readonly kind: "presence"; readonly joined: readonly string[]; readonly left: readonly string[] };

export interface NodeError {
  readonly code: string;
  readonly message: string;
}

/** Publications that wait for their answer. */
const waitingMax = 3_000;
/** Milliseconds between the steps of a publisher. */
const stepMs = 5;
/** Milliseconds that a publisher makes up for. A busy machine gets a lower rate in place of a burst. */
const lateMsMax = 50;

function report(one: Report): void {
  if (process.connected) process.send?.(one);
}

function errorOf(error: unknown): NodeError {
  // The errors of the library have a code.
  const { code, message } = error as Partial<NodeError>;
  return { code: String(code), message: String(message) };
}

/** Reports what happens in one turn of the event loop together. */
class Reports<T> {
  #all: T[] = [];

  constructor(readonly send: (all: readonly T[]) => void) {}

  add(one: T): void {
    if (this.#all.push(one) > 1) return;
    setImmediate(() => {
      const all = this.#all;
      this.#all = [];
      this.send(all);
    });
  }
}

class Node {
  readonly #app: App;
  readonly #accepted = new Reports<Accepted>((all) => report({ kind: "accepted", all }));
  readonly #rejected = new Reports<NodeError>((all) => report({ kind: "rejected", all }));
  readonly #heard = new Reports<Heard>((all) => report({ kind: "heard", all }));
  #isPublishing = true;
  #waiting = 0;
  #publishing: Promise<void>[] = [];

  constructor({ engine, backplane, limits, routes, signals }: NodeSettings) {
    this.#app = new App({ backplane: backplaneOf(engine, backplane), ...(limits && { limits }) });
    if (signals !== undefined) this.#app.handleSignals(signals);
    for (const [pattern, options] of Object.entries(routes)) this.#app.route(pattern, Talker, options);
    this.#app.on("error", (error) => report({ kind: "error", error: errorOf(error) }));
    this.#app.registry.on("lagged", (_room, missed) => report({ kind: "lagged", missed }));
    this.#app.registry.on("presence", (_room, { joined, left }) => {
      report({ kind: "presence", joined: joined.map(({ id }) => id), left: left.map(({ id }) => id) });
    });
  }

  async listen(): Promise<number> {
    return (await this.#app.listen(0, "127.0.0.1")).port;
  }

  async do(command: Command): Promise<unknown> {
    const { registry } = this.#app;
    if (command.do === "publish") return registry.room(command.path).publish(command.id, command.options);
    if (command.do === "history") return (await registry.room(command.path).history()).map(({ data }) => data);
    if (command.do === "status") return this.#app.status();
    if (command.do === "drain") return void (await this.#app.drain({ withinMs: command.withinMs }));
    if (command.do === "close") return this.#app.close({ timeoutMs: 500 });
    if (command.do === "rest") return this.#rest();
    if (command.do === "start") this.#publishing.push(this.#publish(command.publishing));
    else this.#subscribe(command.path).catch((error) => report({ kind: "error", error: errorOf(error) }));
    return undefined;
  }

  async #subscribe(path: string): Promise<void> {
    for await (const { data, position, missed } of this.#app.registry.room(path).subscribe()) {
      this.#heard.add([String(data), position, missed]);
    }
  }

  async #publish({ path, name, perSecond, awaitEach }: SteadyPublishing): Promise<void> {
    const room = this.#app.registry.room(path);
    const eachMs = 1_000 / perSecond;
    for (let n = 0, dueMs = performance.now(); this.#isPublishing; ) {
      dueMs = Math.max(dueMs, performance.now() - lateMsMax);
      for (; dueMs <= performance.now() && this.#isPublishing && this.#waiting < waitingMax; n += 1) {
        dueMs += eachMs;
        const answered = this.#publishOne(room, `${name}-${n}`);
        if (awaitEach !== undefined && n % awaitEach === awaitEach - 1) await answered;
      }
      await new Promise((resolve) => setTimeout(resolve, stepMs));
    }
  }

  async #publishOne(room: ReturnType<App["registry"]["room"]>, id: string): Promise<void> {
    this.#waiting += 1;
    try {
      this.#accepted.add([id, await room.publish(id)]);
    } catch (error) {
      this.#rejected.add(errorOf(error));
    }
    this.#waiting -= 1;
  }

  /** Stops publishing; every publication is answered then, and reported. */
  async #rest(): Promise<void> {
    this.#isPublishing = false;
    await Promise.all(this.#publishing.splice(0));
    while (this.#waiting > 0) await new Promise((resolve) => setImmediate(resolve));
    // The reports of this turn of the event loop come first.
    await new Promise((resolve) => setImmediate(resolve));
    this.#isPublishing = true;
  }
}

// The parent wrote the text that JSON.parse reads here.
const node = new Node(JSON.parse(process.argv[2] ?? "") as NodeSettings);
process.on("message", ({ to, command }: { to: number; command: Command }) => {
  node.do(command).then(
    (value) => report({ kind: "answer", to, value }),
    (error) => report({ kind: "answer", to, error: errorOf(error) }),
  );
});
process.on("disconnect", () => process.exit());
report({ kind: "listens", port: await node.listen() });
