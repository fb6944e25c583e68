import type { IncomingHttpHeaders } from "node:http";
import type { Connection } from "../../connection/connection.js";
import type { ConnectionRequest } from "../../connection/request.js";
import type { Span } from "../../diagnostics.js";
import type { CloseInfo } from "../../errors.js";
import type { Application } from "../../handler/application.js";
import type { HandlerCall } from "../../handler/session.js";
import type { Message } from "../../wire/message.js";
import type { Position } from "../../wire/position.js";

/** Whom a publication addresses, as its sender wrote it. */
export type PublicationTarget =
  | { readonly kind: "room"; readonly path: string }
  /** A room and all rooms below it, such as `/org/7/**`. */
  | { readonly kind: "rooms"; readonly pattern: string }
  | { readonly kind: "user"; readonly id: string }
  | { readonly kind: "channel"; readonly name: string }
  | { readonly kind: "all" };

/** The content of an outgoing message. */
export interface OutgoingContent {
  /** `notice`: JSON of the library itself, such as the presence of a room. */
  readonly kind: "json" | "text" | "binary" | "notice";
  /** A text, JSON included, or bytes; of an event, what the event protocol of the sender's route makes of it. Not to be changed. */
  readonly data: string | Uint8Array;
}

/** An upgrade request that does not become a connection; its path need not be valid. */
export interface RefusedRequest {
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly remoteAddress: string;
}

interface OfApp {
  /** The `App`: several may publish on the same channels. */
  readonly app: Application;
}

interface OfConnection extends OfApp {
  readonly connection: Connection;
}

/** What is published on the channels of `node:diagnostics_channel`, by their names. */
export interface DiagnosticMessages {
  /** A connection was opened, and is in its room; before any hook. */
  readonly "enfilade:connection:open": OfConnection;
  /** A connection has ended, and its last hook is done. */
  readonly "enfilade:connection:close": OfConnection & CloseInfo;
  /** A message for the handler has come. Frames that the library answers by itself are none. */
  readonly "enfilade:message:in": OfConnection & { readonly message: Message };
  /** A message is handed to a connection: a broadcast to ten is ten of them. */
  readonly "enfilade:message:out": OfConnection &
    OutgoingContent & {
      /** How many bytes it is on the wire; deflated, if the client agreed to that. */
      readonly bytes: number;
      /** The room or the tree that it was published to; `undefined` when it was for a client, a user, a channel or all. */
      readonly room: string | undefined;
    };
  /** A publication of this node is on its way: the backplane has accepted it. */
  readonly "enfilade:publish": OfApp &
    OutgoingContent & {
      readonly to: PublicationTarget;
      /** Whether the history of its room keeps it. */
      readonly kept: boolean;
      /** Where it stands in the history that keeps it. */
      readonly position: Position | undefined;
    };
  /** An upgrade request was answered with an HTTP status. */
  readonly "enfilade:refuse": OfApp & { readonly request: RefusedRequest; readonly status: number };
  /** What `app.on("error")` is called with. */
  readonly "enfilade:error": OfApp & { readonly error: Error; readonly connection: Connection | undefined };
}

/** What the spans of `tracingChannel` of `node:diagnostics_channel` carry, by the names of their channels. */
export interface TraceSpans {
  /** From a request that has a route to a connection or a refusal. `error` is what went wrong here; a refusal is none. */
  readonly "enfilade:handshake": OfApp &
    Span & {
      readonly request: ConnectionRequest;
      /** The pattern of its route. */
      readonly route: string;
      /** 101, or that of the refusal; `undefined` while it is open, and when the client left meanwhile. */
      status: number | undefined;
      /** Once it is open. */
      connection: Connection | undefined;
    };
  /** A call of a handler's method, a hook or one that answers an event, until what it returned has settled. */
  readonly "enfilade:handler": HandlerCall;
  /** A publication, until the backplane has accepted it; `result` is its position where it is kept. */
  readonly "enfilade:publish": OfApp &
    Span &
    OutgoingContent & { readonly to: PublicationTarget; readonly kept: boolean };
}
