import { onTestFinished } from "vitest";
import { App, type AppOptions, type HandlerClass, type RouteOptions, WebSocketHandler } from "../../src/index.js";
import { connectURL, type TestClient } from "../../src/testing/index.js";
import { failing, type Pattern } from "./values.js";

/** The application of one hook: a route with the hook, or options of the app. */
export interface TrialSetup {
  readonly handler: HandlerClass;
  readonly route?: RouteOptions;
  readonly app?: AppOptions;
  /** Adds listeners. */
  readonly prepare?: (app: App) => void;
}

/** What a failing hook caused. */
export interface Outcome {
  /** At the client: the HTTP status of the refusal, the close code, or `open` after an answer. */
  readonly client: number | string;
  /** The calls of `onClose`. */
  readonly closes: number;
  /** The errors that reached `app.on("error")`. */
  readonly reported: number;
  /** The lines of `logger.error`. */
  readonly logged: number;
}

class Echo extends WebSocketHandler {
  onMessage(text: string) {
    this.sendText(text);
  }
}

/** Milliseconds of limits that a trial reaches. */
const limits = { authorizeMs: 200, closeMs: 50 };

/** A running app with a hook that fails as the trial says, and a neighbour on another route. */
export class Trial {
  closes = 0;
  readonly reports: Error[] = [];
  readonly lines: unknown[] = [];
  readonly warnings: string[] = [];
  #pattern: Pattern = "throws";
  #value: unknown;
  #isArmed = false;
  #app: App | undefined;
  #neighbour: TestClient | undefined;
  #url = "";
  #opened = 0;

  /** The hook fails with `value` from now on. */
  arm(pattern: Pattern, value: unknown): void {
    [this.#isArmed, this.#pattern, this.#value] = [true, pattern, value];
  }

  /** Called by the hook. Does nothing until the trial is armed. */
  readonly act = (): unknown => {
    if (!this.#isArmed) return undefined;
    return failing(this.#pattern, this.#value);
  };

  /** With the pattern `is a getter`: replaces a hook of `handler` by a getter that throws. */
  install(handler: object, hook: string): void {
    if (!this.#isArmed || this.#pattern !== "is a getter") return;
    const get = () => {
      throw this.#value;
    };
    Object.defineProperty(handler, hook, { get });
  }

  async start({ handler, route, app: options, prepare }: TrialSetup): Promise<void> {
    const logger = {
      warn: (text: string) => this.warnings.push(text),
      error: (...line: unknown[]) => this.lines.push(line),
    };
    const app = new App({ logger, limits, ...options });
    app.route("/target", handler, route).route("/neighbour", Echo);
    this.#app = app;
    onTestFinished(() => app.close({ timeoutMs: 200 }));
    prepare?.(app);
    app.on("error", (error) => this.reports.push(error));
    this.#url = (await app.listen(0, "127.0.0.1")).url;
    this.#neighbour = await connectURL(`${this.#url}/neighbour`);
    this.#opened = 1;
  }

  get app(): App {
    if (this.#app === undefined) throw new Error("the trial has not started");
    return this.#app;
  }

  open(protocols: readonly string[] = []): Promise<TestClient> {
    return connectURL(`${this.#url}/target`, { protocols });
  }

  /** Provokes the hook once, and resolves with what followed, when it is over. */
  async observe(provoke: (trial: Trial) => Promise<number | string>): Promise<Outcome> {
    const [closes, reported, logged] = [this.closes, this.reports.length, this.lines.length];
    const client = await provoke(this);
    const { totals } = this.app.status();
    while (this.app.status().totals.closed < totals.opened - this.#opened) await turn();
    // A rejection that nothing handles would be noticed now.
    await turn();
    await turn();
    return {
      client,
      closes: this.closes - closes,
      reported: this.reports.length - reported,
      logged: this.lines.length - logged,
    };
  }

  /**
   * Uses a connection, with a message of each kind, and closes it. Resolves when `onClose` was called, or with the
   * status of a refusal.
   */
  async use(): Promise<number | "open"> {
    const closes = this.closes;
    try {
      const client = await this.open();
      client.sendText("go");
      client.sendJSON({ event: "go", id: 1 });
      client.sendBinary(new Uint8Array([1]));
      await client.close();
    } catch (error) {
      return Number(Reflect.get(Object(error), "status"));
    }
    while (this.closes === closes) await turn();
    return "open";
  }

  /** True if a client of another route is served as before. */
  async servesNeighbour(): Promise<boolean> {
    this.#neighbour?.sendText("alive");
    return (await this.#neighbour?.readText()) === "alive";
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
