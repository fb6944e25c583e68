import { type App, latest, type Room, Route, type SendOptions } from "enfilade";
import { z } from "zod";
import { describeProblem, MessageText, messageBytesMax, singleLine } from "../text.js";
import { PersonHandler, type PublicPerson, publicPerson, showNames } from "./people.js";

/** A message from the server to a page. Times are ISO 8601. */
export type FromChat =
  | { readonly type: "said"; readonly from: PublicPerson; readonly text: string; readonly at: string }
  | { readonly type: "joined" | "left"; readonly person: PublicPerson; readonly at: string }
  | { readonly type: "typing"; readonly from: PublicPerson }
  | { readonly type: "error"; readonly message: string };

export const ChannelName = singleLine("A channel's name", 32)
  .lowercase("A channel's name has no capital letters.")
  .regex(/^[\p{L}\p{M}\p{N}_-]+$/u, "A channel's name is made of letters, digits, - and _.");

const Post = z.union(
  [z.object({ text: MessageText }), z.object({ typing: z.literal(true) })],
  'A message is an object such as {"text": "hello"}.',
);

export const chatRoute = "/chat/:channel";
const chatPrefix = "/chat/";

/** Chat with history: a new page gets the last messages, and one that reconnects gets those that it missed. */
@Route(chatRoute, {
  params: z.object({ channel: ChannelName }),
  limits: { messageBytesMax, messagesPerSecondMax: 20 },
  history: { size: 200, seconds: 24 * 3600 },
  replay: 50,
  presence: showNames,
})
export class Chat extends PersonHandler<{ channel: string }> {
  onJSON(message: unknown, error?: Error): void {
    const post = Post.safeParse(message);
    const from = publicPerson(this.user);
    if (error !== undefined) this.#sendError('A message is JSON such as {"text": "hello"}.');
    else if (!post.success) this.#sendError(describeProblem(firstIssue(post.error)));
    else if ("text" in post.data) send(this.room, { type: "said", from, text: post.data.text, at: now() });
    // No history keeps it, and a slow client gets only the newest.
    else send(this.room, { type: "typing", from }, { policy: latest(`typing:${from.id}`), except: this });
  }

  #sendError(message: string): void {
    this.sendJSON({ type: "error", message } satisfies FromChat);
  }
}

/**
 * Sends a message to a channel when a person joins or leaves. A reload is neither. With several processes, exactly one
 * of them sends each message.
 */
export function reportPeople({ registry }: App): void {
  for (const [event, type] of [
    ["join", "joined"],
    ["leave", "left"],
  ] as const) {
    registry.on(event, (room, { id, user }) => {
      // The user is a person on this process, and what `showNames` shows of one on another process.
      const person = { id, name: (user as PublicPerson).name };
      if (room.path.startsWith(chatPrefix)) send(room, { type, person, at: now() });
    });
  }
}

/**
 * Lists the channels that are always there, and every channel that has a client on this process, with the number of
 * people in each on all processes.
 */
export async function listChannels({ registry }: App): Promise<{ channel: string; people: number }[]> {
  const open = registry.rooms.filter(({ path }) => path.startsWith(chatPrefix));
  const names = new Set(["general", "random", "help", ...open.map(({ path }) => path.slice(chatPrefix.length))]);
  return Promise.all(
    [...names].map(async (channel) => {
      const { count } = await registry.room(chatPrefix + channel).presence();
      return { channel, people: count };
    }),
  );
}

/** The problems of a text, if the message has one. */
function firstIssue(error: z.ZodError): z.ZodError {
  const [issue] = error.issues;
  if (issue?.code !== "invalid_union") return error;
  const inText = issue.errors.flat().filter(({ path }) => path[0] === "text");
  return inText.length === 0 ? error : new z.ZodError(inText);
}

function send(room: Room, message: FromChat, options?: SendOptions): void {
  room.sendJSON(message, options);
}

function now(): string {
  return new Date().toISOString();
}
