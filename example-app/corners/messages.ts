import { Route } from "enfilade";
import { z } from "zod";
import { describeProblem, MessageText, messageBytesMax } from "../text.js";
import { PersonHandler, type PublicPerson, peopleRoom, publicPerson, showNames } from "./people.js";

/** A message from the server to a page. The time is ISO 8601. */
export type FromMessages =
  | {
      readonly type: "private";
      readonly from: PublicPerson;
      readonly to: PublicPerson;
      readonly text: string;
      readonly at: string;
    }
  | { readonly type: "error"; readonly message: string };

const Letter = z.object(
  { to: z.string().min(1).max(100), text: MessageText },
  'A private message is an object such as {"to": "id", "text": "hello"}.',
);

/** Messages from one person to another. They reach all pages that the two have open, and nothing keeps them. */
@Route(peopleRoom, { limits: { messageBytesMax, messagesPerSecondMax: 20 }, presence: showNames })
export class Messages extends PersonHandler {
  async onJSON(message: unknown, error?: Error): Promise<void> {
    const letter = Letter.safeParse(message);
    if (error !== undefined) return this.#sendError('A message is JSON such as {"to": "id", "text": "hello"}.');
    if (!letter.success) return this.#sendError(describeProblem(letter.error));
    const to = await this.#find(letter.data.to);
    if (to === undefined) return this.#sendError("This person has left.");
    const { text } = letter.data;
    const at = new Date().toISOString();
    const sent = { type: "private", from: publicPerson(this.user), to, text, at } satisfies FromMessages;
    for (const id of new Set([to.id, this.user.id])) this.sendJSONToUser(id, sent);
  }

  /** Finds a person who has a page open, on any process. */
  async #find(id: string): Promise<PublicPerson | undefined> {
    const { users } = await this.room.presence();
    const found = users.find((user) => user.id === id && user.connections > 0);
    // The user is a person on this process, and what `showNames` shows of one on another process.
    return found && { id, name: (found.user as PublicPerson).name };
  }

  #sendError(message: string): void {
    this.sendJSON({ type: "error", message } satisfies FromMessages);
  }
}
