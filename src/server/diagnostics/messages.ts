import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { IncomingHttpHeaders } from "node:http";
import type { Connection } from "../../connection/connection.js";
import type { ConnectionRequest } from "../../connection/request.js";
import type { RefusalReason } from "../../connection/transport.js";
import type { Span } from "../../diagnostics.js";
import type { CloseInfo } from "../../errors.js";
import type { Application } from "../../handler/application.js";
import type { HandlerCall } from "../../handler/session/handlerSpan.js";
import type { ResumeFailure } from "../../wire/frames.js";
import type { Message } from "../../wire/message.js";
import type { Position } from "../../wire/position.js";

/** The address of a publication. */
export type PublicationTarget =
  /** One room. */
  | { readonly kind: "room"; readonly path: string }
  /** A room and all rooms below it, such as `/org/7/**`. */
  | { readonly kind: "rooms"; readonly pattern: string }
  | { readonly kind: "user"; readonly id: string }
  | { readonly kind: "channel"; readonly name: string }
  | { readonly kind: "all" };

/** The content of an outgoing message. */
export interface OutgoingContent {
  /** `notice` is JSON of the library itself, such as the presence of a room. */
  readonly kind: "json" | "text" | "binary" | "notice";
  /**
   * A string for text and JSON, or bytes. An event is encoded by the event protocol of the sender's route. Do not
   * change it.
   */
  readonly data: string | Uint8Array;
}

/** A refused upgrade request. Its path may be invalid. In diagnostics it has no credentials. */
export interface RefusedRequest {
  /** The request target as the client sent it; in diagnostics with `[hidden]` as its query. */
  readonly url: string;
  /** The headers, with names in lower case; in diagnostics with `[hidden]` for tokens and cookies. */
  readonly headers: IncomingHttpHeaders;
  /** The IP address of the client, see `ConnectionRequest.remoteAddress`; `""` if it is unknown. */
  readonly remoteAddress: string;
}

interface AppMessage {
  /** The `App`. All apps of the process publish on the same channels. */
  readonly app: Application;
}

interface ConnectionMessage extends AppMessage {
  readonly connection: Connection;
}

/** The messages on the channels of `node:diagnostics_channel`, by the name of the channel. */
export interface DiagnosticMessages {
  /** A connection has opened and is in its room; no hook has run yet. */
  readonly "enfilade:connection:open": ConnectionMessage;
  /** A connection has ended and its last hook has finished. */
  readonly "enfilade:connection:close": ConnectionMessage & CloseInfo;
  /** A message for a handler has arrived. Frames that the library answers itself are not reported. */
  readonly "enfilade:message:in": ConnectionMessage & { readonly message: Message };
  /** A message is sent to one connection: a broadcast to ten connections is reported ten times. */
  readonly "enfilade:message:out": ConnectionMessage &
    OutgoingContent & {
      /** The size on the wire in bytes; compressed, if the connection uses compression. */
      readonly bytes: number;
      /** The room or the tree it was published to; `undefined` for a message to a client, a user, a channel or all. */
      readonly room: string | undefined;
    };
  /** The backplane has accepted a publication of this node. */
  readonly "enfilade:publish": AppMessage &
    OutgoingContent & {
      readonly to: PublicationTarget;
      /** True if the history of the room keeps it. */
      readonly kept: boolean;
      /** The position in that history; `undefined` if it is not kept. */
      readonly position: Position | undefined;
    };
  /** An upgrade request was refused. `status` is the HTTP status, also if the client got a close code in its place. */
  readonly "enfilade:refuse": AppMessage & {
    readonly request: RefusedRequest;
    readonly status: number;
    readonly reason: RefusalReason;
  };
  /** A client of `enfilade.v1` that had been connected before asked for what it missed, and gets its welcome. */
  readonly "enfilade:resume": ConnectionMessage & {
    /** True if the client gets all that it missed. */
    readonly recovered: boolean;
    /** Why it does not: see `reason` of the `welcome` frame in PROTOCOL.md. */
    readonly reason: ResumeFailure | undefined;
    /** How many publications the client will never get; `undefined` if none, or if the number is not known. */
    readonly missed: number | undefined;
    /** The client gets the publications after this position; `undefined` if its home has no history. */
    readonly position: Position | undefined;
  };
  /** An error, as reported to the listeners of `app.on("error")`. */
  readonly "enfilade:error": AppMessage & { readonly error: Error; readonly connection: Connection | undefined };
}

/** Subscribes to the messages of one app on a channel. Returns a function that ends the subscription. */
export function subscribeTo<Name extends keyof DiagnosticMessages>(
  name: Name,
  app: Application,
  listener: (message: DiagnosticMessages[Name]) => void,
): () => void {
  const onMessage = (message: unknown) => {
    // Each channel has one type of message, but the types of Node have `unknown`.
    const typed = message as DiagnosticMessages[Name];
    if (typed.app === app) listener(typed);
  };
  subscribe(name, onMessage);
  return () => unsubscribe(name, onMessage);
}

/** The spans on `tracingChannel` of `node:diagnostics_channel`, by the name of the channel. */
export interface TraceSpans {
  /**
   * From a request with a route to a connection or a refusal. `error` is a failure of the server; a refusal sets none.
   */
  readonly "enfilade:handshake": AppMessage &
    Span & {
      readonly request: ConnectionRequest;
      /** The pattern of the route. */
      readonly route: string;
      /**
       * 101, or the status of the refusal; `undefined` during the handshake, and if the client disconnected during it.
       */
      status: number | undefined;
      /** Set when the connection is open. */
      connection: Connection | undefined;
    };
  /** A call of a handler's method, for a hook or an event, until its result has settled. */
  readonly "enfilade:handler": HandlerCall;
  /** A publication, until the backplane has accepted it. `result` is its position, if it is kept. */
  readonly "enfilade:publish": AppMessage &
    Span &
    OutgoingContent & { readonly to: PublicationTarget; readonly kept: boolean };
}
