import { onTestFinished } from "vitest";
import { App, type AppOptions, type HandlerClass } from "../../src/index.js";
import { type ConnectOptions, connectURL, type TestClient } from "../../src/testing/index.js";

/** An app that listens on a free port until the end of the test. */
export interface RunningApp {
  readonly app: App;
  readonly port: number;
  readonly url: string;
  /** Errors that reached `app.on("error")`. */
  readonly errors: Error[];
  open(path: string, options?: ConnectOptions): Promise<TestClient>;
}

export async function start(app: App): Promise<RunningApp> {
  const errors: Error[] = [];
  app.on("error", (error) => errors.push(error));
  const { port } = await app.listen(0, "127.0.0.1");
  onTestFinished(() => app.close({ timeoutMs: 200 }));
  const url = `ws://127.0.0.1:${port}`;
  return { app, port, url, errors, open: (path, options) => connectURL(url + path, options) };
}

/** An app with one handler on `pattern`. */
export function startWith(pattern: string, handlerClass: HandlerClass, options: AppOptions = {}): Promise<RunningApp> {
  return start(new App(options).route(pattern, handlerClass));
}

/** Values that handlers report and tests await, in their order. */
export class Mailbox<T> {
  readonly all: T[] = [];
  #waiting: (() => void)[] = [];

  put(value: T): void {
    this.all.push(value);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  /** Resolves with all values so far, once there are at least `count`. */
  async have(count: number): Promise<T[]> {
    while (this.all.length < count) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.all;
  }
}

/** Resolves when the app has reported the close of `count` more connections. */
export function closes(app: App, count: number): Promise<void> {
  return new Promise((resolve) => {
    let seen = 0;
    app.on("close", () => {
      seen += 1;
      if (seen === count) resolve();
    });
  });
}
