import type { Connection } from "../../connection/connection.js";
import type { Span } from "../../diagnostics.js";
import type { Application } from "../application.js";

/** A call of a handler's method, as a span on the channel `enfilade:handler`. */
export interface HandlerCall extends Span {
  /** The app of the handler. */
  readonly app: Application;
  /** The connection of the handler. */
  readonly connection: Connection;
  /** The pattern of the route. */
  readonly route: string;
  /** The name of the method, such as `onConnect`. */
  readonly method: string;
  /** The name of the event that the method answers; `undefined` for a hook. */
  readonly event: string | undefined;
}

/** A class, not a literal: V8 reserves space in its objects for the outcome, which is added later. */
export class HandlerSpan implements HandlerCall {
  constructor(
    readonly app: Application,
    readonly connection: Connection,
    readonly route: string,
    readonly method: string,
    readonly event: string | undefined,
    readonly begunAt: number,
  ) {}
}
