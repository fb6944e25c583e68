import { type ConnectionRequest, HttpError, Route, WebSocketHandler } from "enfilade";
import { z } from "zod";
import { ChannelName, type FromServer, PersonName, Post, problem } from "./messages.js";

/** Who is connected, as `authorize` let them in. */
interface Person {
  readonly name: string;
}

export const chatRoute = "/chat/:channel";

@Route(chatRoute, {
  params: z.object({ channel: ChannelName }),
  // The longest text takes 12 KB when a client escapes all of it.
  limits: { messageBytesMax: 16 * 1024 },
})
export class Chat extends WebSocketHandler<{ channel: string }, Person> {
  authorize({ query }: ConnectionRequest): Person {
    const name = PersonName.safeParse(query.get("name") ?? "");
    if (!name.success) throw new HttpError(400, problem(name.error));
    return { name: name.data };
  }

  onConnect(): void {
    this.sendJSON({ type: "welcome", id: this.id, name: this.user.name } satisfies FromServer);
    this.#tell({ type: "joined", name: this.user.name, at: now() });
    this.#tellWhoIsHere();
  }

  onJSON(message: unknown, error?: Error): void {
    const post = Post.safeParse(message);
    if (error !== undefined) this.#refuse('A message is JSON such as {"text": "hello"}.');
    else if (!post.success) this.#refuse(problem(post.error));
    else this.#tell({ type: "said", id: this.id, name: this.user.name, text: post.data.text, at: now() });
  }

  onClose(): void {
    this.#tell({ type: "left", name: this.user.name, at: now() });
    this.#tellWhoIsHere();
  }

  #tellWhoIsHere(): void {
    // Everyone in this room came through this class, so its users are those of `authorize` above.
    const names = this.room.members().map(({ user }) => (user as Person).name);
    this.#tell({ type: "here", names: names.sort((a, b) => a.localeCompare(b)) });
  }

  #refuse(message: string): void {
    this.sendJSON({ type: "error", message } satisfies FromServer);
  }

  #tell(message: FromServer): void {
    this.sendJSONToThisRoom(message);
  }
}

function now(): string {
  return new Date().toISOString();
}
