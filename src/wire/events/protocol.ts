import type { MessageIssue } from "../../errors.js";
import type { Message } from "../message.js";
import type { DecodedEvent } from "./incomingEvent.js";

/** Why a message was not answered. */
export interface EventFailure {
  readonly code: string;
  readonly message: string;
  /** With `bad_data`: where the data does not fit its schema, and why. */
  readonly issues?: readonly MessageIssue[];
}

/** What a client is told of a fault of ours, and no more. */
export const internalFault: EventFailure = { code: "internal", message: "internal error" };

/** What is sent to a client: an event, a reply, or an error. */
export type OutgoingEvent =
  | {
      readonly kind: "event";
      readonly event: string;
      readonly data: unknown;
      /** The id of the connection whose handler sends it to others. */
      readonly from?: string | undefined;
      /** The room it is sent to, by its path. */
      readonly channel?: string | undefined;
    }
  | { readonly kind: "reply"; readonly id: string | number; readonly data: unknown }
  | {
      readonly kind: "error";
      readonly id?: string | number | undefined;
      readonly event?: string | undefined;
      readonly error: EventFailure;
    };

/** How events look on the wire. */
export interface EventProtocol {
  /** What a message looks like, told to a client whose message does not: `{"event": "name", "data"?: …}`. */
  readonly example: string;
  /** What messages are: JSON, other text, or bytes. A message that is binary where events are text is none of them. */
  readonly format: "json" | "text" | "binary";
  /**
   * What a message says. One without an event is answered with `bad_message`, and so is one for which it throws;
   * with `bad_json` when that is a `MessageError` of this code.
   */
  decode(message: Message): DecodedEvent;
  /** A string, or bytes where the format is binary. */
  encode(outgoing: OutgoingEvent): string | Uint8Array;
}

/** The fields of a message that is a JSON object; of any other, none. */
export function fieldsOf(message: Message): Readonly<Record<string, unknown>> {
  const value = message.json();
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}

/** What may be replied to: a text or a number. */
export function idOf(id: unknown): string | number | undefined {
  return typeof id === "string" || typeof id === "number" ? id : undefined;
}

export function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
