import type { Application } from "../../handler/application.js";
import { subscribeTo } from "../../server/diagnostics/messages.js";

/** When each connection of this node opened, in milliseconds since 1970. */
export class OpenTimes {
  readonly #times = new Map<string, number>();

  /** Returns a function that ends it. */
  start(app: Application): () => void {
    const ends = [
      subscribeTo("enfilade:connection:open", app, ({ connection }) => this.#times.set(connection.id, Date.now())),
      subscribeTo("enfilade:connection:close", app, ({ connection }) => this.#times.delete(connection.id)),
    ];
    return () => {
      for (const end of ends) end();
      this.#times.clear();
    };
  }

  /** `undefined` for a connection that is older than the admin. */
  get(id: string): number | undefined {
    return this.#times.get(id);
  }
}
