import type { Message } from "../message.js";
import { type EventFailure, internalFailure } from "./failure.js";
import type { DecodedEvent } from "./incomingEvent.js";

export { type EventFailure, internalFailure };

/** A message that an {@link EventProtocol} encodes for a client: an event, a reply or a value of it, or an error. */
export type OutgoingEvent =
  | {
      readonly kind: "event";
      /** The name of the event. */
      readonly event: string;
      /** The data that the handler emitted. */
      readonly data: unknown;
      /** The id of the connection whose handler emits it to a room, a user or everyone. */
      readonly from?: string | undefined;
      /** The path of the room that it is sent to. */
      readonly channel?: string | undefined;
    }
  | {
      /** A value of a streamed reply; the reply follows after the last one. */
      readonly kind: "item";
      /** The id of the event that is answered. */
      readonly id: string | number;
      /** The number of the value: 0 for the first one. */
      readonly seq: number;
      /** The value that the method yielded. */
      readonly data: unknown;
    }
  | {
      readonly kind: "reply";
      /** The id of the event that is answered. */
      readonly id: string | number;
      /** The result of the method; `undefined` if it returned nothing. */
      readonly data: unknown;
    }
  | {
      readonly kind: "error";
      /** The id of the event that failed; `undefined` if it had none. */
      readonly id?: string | number | undefined;
      /** The name of the event that failed; `undefined` if it could not be read. */
      readonly event?: string | undefined;
      readonly error: EventFailure;
    };

/**
 * The wire format of events: `jsonEvents` (the default), `commandEvents`, `spacedEvents`, or one of your own.
 *
 * It is set by the option `eventProtocol` of the app, a scope or a route.
 */
export interface EventProtocol {
  /** The form of a valid message, for the error that answers an invalid one: `{"event": "name", "data"?: …}`. */
  readonly example: string;
  /** The form of messages: JSON, other text, or bytes. */
  readonly format: "json" | "text" | "binary";
  /**
   * Reads a message of a client. If it throws, or if the result has no `event`, the client is answered with
   * `bad_message`; if it throws a `MessageError` with `ERR_BAD_JSON`, with `bad_json`.
   */
  decode(message: Message): DecodedEvent;
  /** Writes a message to a client: a string, or bytes if `format` is `binary`. */
  encode(outgoing: OutgoingEvent): string | Uint8Array;
}

/**
 * The fields of a message that is a JSON object; `{}` for other JSON.
 *
 * @throws MessageError `ERR_NOT_TEXT` or `ERR_BAD_JSON`.
 */
export function fieldsOf(message: Message): Readonly<Record<string, unknown>> {
  const value = message.json();
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}

/** `id` if it may be the id of an event, a string or a number; else `undefined`. */
export function idOf(id: unknown): string | number | undefined {
  return typeof id === "string" || typeof id === "number" ? id : undefined;
}

/** `value` if it is a string; else `undefined`. */
export function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
