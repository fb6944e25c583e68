import { z } from "zod";

/** A message from the server to a browser. Times are ISO 8601. */
export type FromServer =
  | { readonly type: "welcome"; readonly name: string }
  | { readonly type: "said"; readonly name: string; readonly text: string; readonly at: string }
  | { readonly type: "joined" | "left"; readonly name: string; readonly at: string }
  | { readonly type: "announced"; readonly text: string; readonly at: string }
  | { readonly type: "error"; readonly message: string };

/** Control characters, line separators, lone surrogates, and characters that change the direction of other text. */
const forbidden = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u202a-\u202e\u2066-\u2069]/u;

function singleLine(label: string, charactersMax: number) {
  const message = `${label} has 1 to ${charactersMax} characters.`;
  return z
    .string(message)
    .trim()
    .min(1, message)
    .max(charactersMax, message)
    .refine((text) => !forbidden.test(text), `${label} has no control characters.`);
}

export const PersonName = singleLine("A name", 32);

export const ChannelName = singleLine("A channel's name", 32)
  .lowercase("A channel's name has no capital letters.")
  .regex(/^[\p{L}\p{M}\p{N}_-]+$/u, "A channel's name is made of letters, digits, - and _.");

const Text = z
  .string("A message has a text.")
  .trim()
  .min(1, "A message has at least one character.")
  .max(2000, "A message has at most 2000 characters.");

/** A message from a browser to its channel. */
export const Post = z.object({ text: Text }, 'A message is an object such as {"text": "hello"}.');

/** The body of `POST /api/announce`. */
export const Announcement = z.object(
  { channel: ChannelName, text: Text },
  'An announcement is JSON such as {"channel": "general", "text": "hello"}.',
);

/** The first problem that the check found, as a sentence for the user. */
export function describeProblem(error: z.ZodError): string {
  return error.issues[0]?.message ?? "That is not valid.";
}
