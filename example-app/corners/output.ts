import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { type App, type Extension, Route } from "enfilade";
import { Router } from "express";
import { PersonHandler } from "./people.js";

/** A message from the server to a page, before and after the output, which comes as text. */
export type FromOutput =
  | { readonly type: "started"; readonly by: string }
  | { readonly type: "ended"; readonly code: number | null };

const outputRoom = "/output-of-steps";
/** The command is fixed: no part of it comes from a user. */
const command = [fileURLToPath(new URL("steps.mjs", import.meta.url))];
const runMsMax = 30_000;

/** Read also over plain HTTP: curl -N -H 'Cookie: session=…' http://localhost:3000/output-of-steps */
const http = { events: true, history: true };

/** Pages that show the output. One that comes later gets the output so far from the history. */
@Route(outputRoom, { history: { size: 200, seconds: 3600 }, replay: 200, http })
export class Output extends PersonHandler {
  onMessage(): void {
    this.close(4505, "start the process over HTTP");
  }
}

/** Runs one process at a time, and streams its output into a room. It ends with the app. */
export class OutputRunner implements Extension {
  readonly name = "output";
  readonly #stepMs: number;
  #app: Pick<App, "registry"> | undefined;
  #child: ChildProcess | undefined;

  /** @param stepMs Milliseconds between two lines. */
  constructor(stepMs: number) {
    this.#stepMs = stepMs;
  }

  install(app: Pick<App, "registry">): void {
    this.#app = app;
  }

  onClose(): void {
    this.#child?.kill();
  }

  /** Starts the process. Returns `false` if it runs already. */
  start(by: string): boolean {
    if (this.#child !== undefined || this.#app === undefined) return false;
    const child = spawn(process.execPath, [...command, String(this.#stepMs)], {
      env: {},
      stdio: ["ignore", "pipe", "ignore"],
      timeout: runMsMax,
    });
    this.#child = child;
    this.#stream(this.#app, child, by).catch((error: unknown) => console.error(error));
    return true;
  }

  async #stream(
    { registry }: Pick<App, "registry">,
    child: ChildProcessByStdio<null, Readable, null>,
    by: string,
  ): Promise<void> {
    const room = registry.room(outputRoom);
    const closed = once(child, "close");
    try {
      room.sendJSON({ type: "started", by } satisfies FromOutput);
      const [[code]] = await Promise.all([closed, Readable.toWeb(child.stdout).pipeTo(room.writer({ text: true }))]);
      room.sendJSON({ type: "ended", code } satisfies FromOutput);
    } finally {
      child.kill();
      this.#child = undefined;
    }
  }
}

/** `POST` starts the process, for the person that `nameOf` returns. */
export function createOutput(runner: OutputRunner, nameOf: (response: object) => string): Router {
  const router = Router();
  router.post("/", (_request, response) => response.json({ isStarted: runner.start(nameOf(response)) }));
  return router;
}
