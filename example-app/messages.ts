import { z } from "zod";

/** What the server sends to a browser. Times are ISO 8601. */
export type FromServer =
  | { readonly type: "welcome"; readonly name: string }
  | { readonly type: "said"; readonly name: string; readonly text: string; readonly at: string }
  | { readonly type: "joined" | "left"; readonly name: string; readonly at: string }
  | { readonly type: "announced"; readonly text: string; readonly at: string }
  | { readonly type: "error"; readonly message: string };

/** Controls, line separators, and what makes the text around it run backwards. */
const unfit = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u202a-\u202e\u2066-\u2069]/u;

function line(what: string, charactersMax: number) {
  const message = `${what} has 1 to ${charactersMax} characters.`;
  return z
    .string(message)
    .trim()
    .min(1, message)
    .max(charactersMax, message)
    .refine((text) => !unfit.test(text), `${what} has no control characters.`);
}

export const PersonName = line("A name", 32);

export const ChannelName = line("A channel's name", 32)
  .lowercase("A channel's name has no capital letters.")
  .regex(/^[\p{L}\p{M}\p{N}_-]+$/u, "A channel's name is made of letters, digits, - and _.");

const Text = z
  .string("A message has a text.")
  .trim()
  .min(1, "A message has at least one character.")
  .max(2000, "A message has at most 2000 characters.");

/** What a browser sends to say something. */
export const Post = z.object({ text: Text }, 'A message is an object such as {"text": "hello"}.');

/** What `POST /api/announce` takes. */
export const Announcement = z.object(
  { channel: ChannelName, text: Text },
  'An announcement is JSON such as {"channel": "general", "text": "hello"}.',
);

/** The first thing that is wrong, in words for people. */
export function problem(error: z.ZodError): string {
  return error.issues[0]?.message ?? "That is not valid.";
}
