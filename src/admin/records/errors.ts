import type { Application } from "../../handler/application.js";
import { subscribeTo } from "../../server/diagnostics/messages.js";
import type { ErrorReport } from "../api.js";
import { userOf } from "./departures.js";
import { Ring } from "./ring.js";

const messageLengthMax = 1_024;
const stackLengthMax = 8_192;

/** The last errors of one node, as reported to `app.on("error")`. */
export class Errors extends Ring<ErrorReport> {
  readonly #own: string;
  readonly #routeOf: (path: string) => string | undefined;

  constructor(node: string, max: number, routeOf: (path: string) => string | undefined) {
    super(node, max);
    this.#own = node;
    this.#routeOf = routeOf;
  }

  /** Returns a function that ends it. */
  start(app: Application): () => void {
    return subscribeTo("enfilade:error", app, ({ error, connection }) => {
      const path = connection?.request.path;
      const route = path === undefined ? undefined : this.#routeOf(path);
      this.add({
        at: Date.now(),
        node: this.#own,
        ...(route !== undefined && { route }),
        ...(path !== undefined && { path }),
        ...(connection !== undefined && { connection: connection.id, ...userOf(connection.user) }),
        message: messageOf(error),
        stack: stackOf(error),
      });
    });
  }
}

/** The message of an error. A subclass of the application may have getters that throw. */
export function messageOf(error: Error): string {
  return textOf(() => error.message).slice(0, messageLengthMax);
}

function stackOf(error: Error): string {
  return textOf(() => error.stack).slice(0, stackLengthMax);
}

function textOf(read: () => unknown): string {
  try {
    return String(read() ?? "");
  } catch {
    return "";
  }
}
