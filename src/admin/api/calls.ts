import type { ConnectionName } from "./session.js";

/** Where to send. */
export type SendTarget =
  | { readonly connection: ConnectionName }
  | { readonly room: string }
  /** The topmost room of the tree, such as `/chat`. */
  | { readonly tree: string }
  | { readonly user: string }
  /** The name of a route. */
  | { readonly channel: string }
  | "all";

/** `POST api/send` */
export type SendCall =
  /** Sends `{ "type": "system", "from": operator, "data": … }`, or what the option `systemMessage` returns. */
  | { readonly to: SendTarget; readonly kind: "json"; readonly data: unknown }
  | { readonly to: SendTarget; readonly kind: "text"; readonly data: string }
  /** Sends the event with the same object as its data. */
  | { readonly to: SendTarget; readonly kind: "event"; readonly event: string; readonly data?: unknown };

export interface SendResult {
  readonly sent: true;
  readonly to: SendTarget;
}

/** `POST api/count`: how many connections a {@link SendCall} to this target would reach now. Changes nothing. */
export interface CountCall {
  readonly to: SendTarget;
}

export interface CountResult {
  readonly connections: number;
  readonly missing: readonly string[];
}

/** One connection, all connections of a user, or all connections in a room. */
export type CloseTarget =
  | { readonly connection: ConnectionName }
  | { readonly user: string }
  | { readonly room: string };

/** `POST api/close` */
export type CloseCall = CloseTarget & {
  /** 1000, or 3000 to 4999. Default: 1000. */
  readonly code?: number;
  /** At most 123 bytes of UTF-8. */
  readonly reason?: string;
  /**
   * Only for one connection: asks a client of `enfilade.v1` to reconnect; closes a plain client with 1012. `code` and
   * `reason` must be absent.
   */
  readonly cooperative?: boolean;
};

/** `POST api/evict`: removes the members from the room; they stay connected. */
export type EvictCall = (
  | { readonly room: string; readonly connection: ConnectionName }
  | { readonly room: string; readonly user: string }
) & { readonly reason?: string };

/** `POST api/revoke`: closes with 4501, so that clients of `enfilade.v1` do not come back. */
export type RevokeCall = CloseTarget;

/** The result of `close`, `evict` and `revoke`. */
export interface ActionResult {
  readonly done: true;
}

/** `GET api/channels`: the names of the routes, as targets for `channel`. */
export interface ChannelsInfo {
  readonly channels: readonly { readonly name: string; readonly pattern: string }[];
}
