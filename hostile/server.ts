/**
 * The server of a row, in a process of its own: `node server.mjs <settings as JSON>`, with an IPC channel.
 *
 * It answers {@link Command}, and reports what no row may see: unhandled rejections and exceptions.
 */
import { App, defaultLimits } from "../src/index.js";
import { backplaneOf } from "../test/support/engineAddress.js";
import { Meter } from "./server/meter.js";
import { countObjects } from "./server/objects.js";
import { Publisher } from "./server/publisher.js";
import { addRoutes, count, tally } from "./server/routes.js";
import type { Command, Log, Report, ServerSettings } from "./server/settings.js";
import { viewOf } from "./server/view.js";

/** Lines and errors that are kept to be read. */
const keptMax = 5_000;

function report(one: Report): void {
  if (process.connected) process.send?.(one);
}

process.on("unhandledRejection", (reason) => report({ kind: "unhandled", error: `rejection: ${describe(reason)}` }));
process.on("uncaughtException", (error) => report({ kind: "unhandled", error: `exception: ${describe(error)}` }));
process.on("disconnect", () => process.exit());

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = "code" in error ? `${error.code} ` : "";
  return code + (error.stack ?? error.message);
}

/** The newest lines, and the number of all. */
class Lines {
  readonly newest: string[] = [];
  count = 0;

  add(line: string): void {
    this.count += 1;
    this.newest.push(line);
    if (this.newest.length > keptMax) this.newest.shift();
  }
}

class Server {
  readonly #app: App;
  readonly #lines = new Lines();
  readonly #errors = new Lines();
  readonly #meter = new Meter();
  readonly #publisher: Publisher;

  constructor(settings: ServerSettings) {
    const { limits = {}, options = {}, receiver, engine, backplane } = settings;
    const known = Object.entries(limits).filter(([name]) => Object.hasOwn(defaultLimits, name));
    this.#app = new App({
      ...options,
      receiver,
      limits: Object.fromEntries(known),
      logger: {
        warn: (text) => this.#lines.add(text),
        error: (text, error) => this.#lines.add(`${text} ${describe(error)}`),
      },
      ...(engine && { backplane: backplaneOf(engine, backplane) }),
    });
    this.#app.on("error", (error) => this.#errors.add(describe(error)));
    addRoutes(this.#app);
    for (const event of ["join", "leave"] as const) {
      this.#app.registry.on(event, () => count(`presence:${event}`));
    }
    this.#publisher = new Publisher(this.#app);
  }

  async listen(port = 0): Promise<number> {
    return (await this.#app.listen(port, "127.0.0.1")).port;
  }

  obey(command: Command): unknown {
    switch (command.do) {
      case "measure":
        return this.#meter.measure(command.collect);
      case "resetPeaks":
        return this.#meter.reset();
      case "objects":
        return countObjects();
      case "status":
        return this.#app.status();
      case "health":
        return this.#app.health();
      case "log":
        return this.#log();
      case "tally":
        return Object.fromEntries(tally);
      case "room":
        return viewOf(this.#app, command.path);
      case "block":
        return block(command.ms);
      case "publish":
        return this.#app.registry.room(command.path).publishText(command.text);
      case "start":
        return this.#publisher.start(command.publishing);
      case "stop":
        return this.#publisher.stop();
    }
  }

  #log(): Log {
    return {
      lines: this.#lines.newest,
      count: this.#lines.count,
      errors: this.#errors.newest,
      errorCount: this.#errors.count,
    };
  }
}

function block(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

// The parent wrote it.
const settings = JSON.parse(process.argv[2] ?? "{}") as ServerSettings;
const server = new Server(settings);

process.on("message", async ({ to, command }: { to: number; command: Command }) => {
  try {
    report({ kind: "answer", to, value: await server.obey(command) });
  } catch (error) {
    report({ kind: "answer", to, error: describe(error) });
  }
});

const unknownLimits = Object.keys(settings.limits ?? {}).filter((name) => !Object.hasOwn(defaultLimits, name));
report({ kind: "listens", port: await server.listen(settings.port), unknownLimits });
