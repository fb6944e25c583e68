import { type App, type ConnectionRequest, HttpError, type Room, Route, WebSocketHandler } from "enfilade";
import { z } from "zod";
import { ChannelName, type FromServer, PersonName, Post, problem } from "./messages.js";

/** Who is connected, as `authorize` let them in: whoever bears the same name is the same person, in however many tabs. */
interface Person {
  readonly id: string;
  readonly name: string;
}

export const chatRoute = "/chat/:channel";

@Route(chatRoute, {
  params: z.object({ channel: ChannelName }),
  // The longest text takes 12 KB when a client escapes all of it.
  limits: { messageBytesMax: 16 * 1024 },
  // Who comes reads what was said before, and who was cut off gets what came meanwhile.
  history: { size: 200, seconds: 24 * 3600 },
  replay: 50,
  presence: "full",
})
export class Chat extends WebSocketHandler<{ channel: string }, Person> {
  authorize({ query }: ConnectionRequest): Person {
    const name = PersonName.safeParse(query.get("name") ?? "");
    if (!name.success) throw new HttpError(400, problem(name.error));
    return { id: name.data, name: name.data };
  }

  onConnect(): void {
    this.sendJSON({ type: "welcome", name: this.user.name } satisfies FromServer);
  }

  onJSON(message: unknown, error?: Error): void {
    const post = Post.safeParse(message);
    if (error !== undefined) this.#refuse('A message is JSON such as {"text": "hello"}.');
    else if (!post.success) this.#refuse(problem(post.error));
    else tell(this.room, { type: "said", name: this.user.name, text: post.data.text, at: now() });
  }

  #refuse(message: string): void {
    this.sendJSON({ type: "error", message } satisfies FromServer);
  }
}

/** Says in a channel who joined and who left; a reload is neither. Of all processes, exactly one says it. */
export function tellOfPeople(app: App): void {
  app.registry.on("join", (room, { id: name }) => tell(room, { type: "joined", name, at: now() }));
  app.registry.on("leave", (room, { id: name }) => tell(room, { type: "left", name, at: now() }));
}

function tell(room: Room, message: FromServer): void {
  room.sendJSON(message);
}

function now(): string {
  return new Date().toISOString();
}
