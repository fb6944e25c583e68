import { z } from "zod";

/** Control characters, line separators, lone surrogates, and characters that change the direction of other text. */
const forbidden = /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u202a-\u202e\u2066-\u2069]/u;

/** Checks a text of one line that comes from a user. Spaces at its ends are removed. */
export function singleLine(label: string, charactersMax: number) {
  const message = `${label} has 1 to ${charactersMax} characters.`;
  return z
    .string(message)
    .trim()
    .min(1, message)
    .max(charactersMax, message)
    .refine((text) => !forbidden.test(text), `${label} has no control characters.`);
}

export const PersonName = singleLine("A name", 32);

/** The text of a message, of one or more lines. */
export const MessageText = z
  .string("A message has a text.")
  .trim()
  .min(1, "A message has at least one character.")
  .max(2000, "A message has at most 2000 characters.");

/** The longest text takes 12 KB if the client escapes every character. */
export const messageBytesMax = 16 * 1024;

/** The first problem that the check found, as a sentence for the user. */
export function describeProblem(error: z.ZodError): string {
  return error.issues[0]?.message ?? "That is not valid.";
}
