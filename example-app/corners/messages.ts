import { contract, type DataOf, EventError, Route } from "enfilade";
import { z } from "zod";
import { MessageText, messageBytesMax } from "../text.js";
import { PersonEvents, type PublicPerson, peopleRoom, publicPerson, showNames } from "./people.js";

const PersonSchema = z.object({ id: z.string(), name: z.string() });
const Letter = z.object(
  { to: z.string().min(1).max(100), text: MessageText },
  'A private message is an object such as {"to": "id", "text": "hello"}.',
);

/** The events of the page, and of all pages of a person. */
export const messages = contract({
  receives: {
    write: { data: Letter, reply: z.object({ at: z.iso.datetime() }), summary: "Sends a message to one person." },
  },
  sends: {
    private: {
      data: z.object({ from: PersonSchema, to: PersonSchema, text: z.string(), at: z.iso.datetime() }),
      summary: "A message between this person and another one.",
    },
  },
});

/** Messages from one person to another. They reach all pages that the two have open, and nothing keeps them. */
@Route(peopleRoom, { name: "people", limits: { messageBytesMax, messagesPerSecondMax: 20 }, presence: showNames })
export class Messages extends PersonEvents.of(messages) {
  async onWrite({ to: id, text }: DataOf<typeof messages, "write">) {
    const to = await this.#find(id);
    if (to === undefined) throw new EventError("left", "This person has left.");
    const at = new Date().toISOString();
    const sent = { from: publicPerson(this.user), to, text, at };
    for (const user of new Set([to.id, this.user.id])) this.emitToUser(user, "private", sent);
    return { at };
  }

  /** Finds a person who has a page open, on any process. */
  async #find(id: string): Promise<PublicPerson | undefined> {
    const { users } = await this.room.presence();
    const found = users.find((user) => user.id === id && user.connections > 0);
    // The user is a person on this process, and what `showNames` shows of one on another process.
    return found && { id, name: (found.user as PublicPerson).name };
  }
}
