import { type App, type ConnectionRequest, HttpError, type Room, Route, WebSocketHandler } from "enfilade";
import { z } from "zod";
import { ChannelName, describeProblem, type FromServer, PersonName, Post } from "./messages.js";

/** The user of a connection, as `authorize` returns it. Connections with the same name belong to the same person. */
interface Person {
  readonly id: string;
  readonly name: string;
}

export const chatRoute = "/chat/:channel";

@Route(chatRoute, {
  params: z.object({ channel: ChannelName }),
  // The longest text takes 12 KB if the client escapes every character.
  limits: { messageBytesMax: 16 * 1024 },
  // A new client gets the last 50 messages. A client that reconnects gets the messages that it missed.
  history: { size: 200, seconds: 24 * 3600 },
  replay: 50,
  presence: "full",
})
export class Chat extends WebSocketHandler<{ channel: string }, Person> {
  authorize({ query }: ConnectionRequest): Person {
    const name = PersonName.safeParse(query.get("name") ?? "");
    if (!name.success) throw new HttpError(400, describeProblem(name.error));
    return { id: name.data, name: name.data };
  }

  onConnect(): void {
    this.sendJSON({ type: "welcome", name: this.user.name } satisfies FromServer);
  }

  onJSON(message: unknown, error?: Error): void {
    const post = Post.safeParse(message);
    if (error !== undefined) this.#sendError('A message is JSON such as {"text": "hello"}.');
    else if (!post.success) this.#sendError(describeProblem(post.error));
    else send(this.room, { type: "said", name: this.user.name, text: post.data.text, at: now() });
  }

  #sendError(message: string): void {
    this.sendJSON({ type: "error", message } satisfies FromServer);
  }
}

/**
 * Sends a message to a channel when a person joins or leaves. A reload is neither. With several processes, exactly one
 * of them sends each message.
 */
export function reportPeople(app: App): void {
  app.registry.on("join", (room, { id: name }) => send(room, { type: "joined", name, at: now() }));
  app.registry.on("leave", (room, { id: name }) => send(room, { type: "left", name, at: now() }));
}

function send(room: Room, message: FromServer): void {
  room.sendJSON(message);
}

function now(): string {
  return new Date().toISOString();
}
