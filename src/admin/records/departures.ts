import { textOfUserId } from "../../backplane/topic.js";
import type { Application } from "../../handler/application.js";
import { type DiagnosticMessages, subscribeTo } from "../../server/diagnostics/messages.js";
import type { Departure } from "../api.js";
import { Ring } from "./ring.js";

const pathLengthMax = 512;

/** The last closed connections and refused clients of one node. */
export class Departures extends Ring<Departure> {
  readonly #own: string;

  constructor(node: string, max: number) {
    super(node, max);
    this.#own = node;
  }

  /** Returns a function that ends it. */
  start(app: Application): () => void {
    const ends = [
      subscribeTo("enfilade:connection:close", app, (closed) => this.#onClose(closed)),
      subscribeTo("enfilade:refuse", app, (refused) => this.#onRefusal(refused)),
    ];
    return () => {
      for (const end of ends) end();
    };
  }

  #onClose({ connection, code, reason, by }: DiagnosticMessages["enfilade:connection:close"]): void {
    const { id, user, request } = connection;
    this.add({
      kind: "close",
      at: Date.now(),
      node: this.#own,
      id,
      ...userOf(user),
      path: request.path,
      address: request.remoteAddress,
      code,
      reason,
      side: by,
    });
  }

  #onRefusal({ request, status, reason }: DiagnosticMessages["enfilade:refuse"]): void {
    this.add({
      kind: "refusal",
      at: Date.now(),
      node: this.#own,
      path: pathOf(request.url),
      address: request.remoteAddress,
      code: status,
      reason,
      side: "server",
    });
  }
}

/** The target of a request without its query, which may hold credentials. */
export function pathOf(target: string): string {
  return target.replace(/[?#].*$/s, "").slice(0, pathLengthMax);
}

/** The id of a user, and nothing else of it. */
export function userOf(user: unknown): { user?: string } {
  const id = typeof user === "object" && user !== null && "id" in user ? textOfUserId(user.id) : undefined;
  return id === undefined ? {} : { user: id };
}
