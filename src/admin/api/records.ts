import type { ListPage } from "./session.js";

export type { RefusalReason } from "../../connection/transport.js";

/** `GET api/departures?after=&limit=50`: the newest first, of all nodes; each node keeps the last 1,000. */
export interface DeparturesPage extends ListPage {
  readonly departures: readonly Departure[];
}

export interface Departure {
  readonly kind: "close" | "refusal";
  readonly at: number;
  readonly node: string;
  /** The connection that has ended; absent for a refusal. */
  readonly id?: string;
  readonly path: string;
  readonly user?: string;
  readonly address: string;
  /** The close code, or the HTTP status of a refusal. */
  readonly code: number;
  /** The close reason, or the `RefusalReason` of a refusal. */
  readonly reason: string;
  /** Which side ended it. */
  readonly side: "client" | "server" | "network";
}

/** `GET api/errors?after=&limit=50`: the newest first, of all nodes; each node keeps the last 200. */
export interface ErrorsPage extends ListPage {
  readonly errors: readonly ErrorReport[];
}

export interface ErrorReport {
  readonly at: number;
  readonly node: string;
  readonly route?: string;
  /** The id of the connection. */
  readonly connection?: string;
  readonly path?: string;
  readonly user?: string;
  readonly message: string;
  readonly stack: string;
}
