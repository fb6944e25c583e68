import type { Method, Told } from "./methods.js";

/** A message between the admins of the nodes. */
export type NodeMessage =
  /** A node has started; the others answer with `here`. */
  | { readonly kind: "hello" | "here" | "bye"; readonly from: string }
  /** A question to one node, or without `to` to all others. */
  | {
      readonly kind: "ask";
      readonly from: string;
      readonly to?: string | undefined;
      readonly id: string;
      readonly method: Method;
      readonly args: unknown;
    }
  /** The answer to the question `id`. */
  | {
      readonly kind: "answer";
      readonly from: string;
      readonly to: string;
      readonly id: string;
      readonly value?: unknown;
    }
  /** Something that needs no answer. */
  | {
      readonly kind: "tell";
      readonly from: string;
      readonly to?: string | undefined;
      readonly told: Told;
    };

/** A message with its signature, as it is published. */
export interface SignedMessage {
  readonly text: string;
  readonly signature: string;
}

const kinds: readonly unknown[] = ["hello", "here", "bye", "ask", "answer", "tell"];

/**
 * Reads a publication; `undefined` if it is no message of a node.
 *
 * @param isSigned Whether a text has this signature.
 */
export function readMessage(
  publication: unknown,
  isSigned: (text: string, signature: unknown) => boolean,
): NodeMessage | undefined {
  if (typeof publication !== "object" || publication === null) return undefined;
  const text = "text" in publication ? publication.text : undefined;
  const signature = "signature" in publication ? publication.signature : undefined;
  if (typeof text !== "string" || !isSigned(text, signature)) return undefined;
  const message: unknown = JSON.parse(text);
  if (typeof message !== "object" || message === null || !("kind" in message)) return undefined;
  // A node with the secret has written it, so the other fields fit its kind.
  return kinds.includes(message.kind) ? (message as NodeMessage) : undefined;
}
