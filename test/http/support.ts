import { onTestFinished } from "vitest";
import { Mailbox } from "../support/app.js";

/** One block of an event stream. */
export interface StreamEvent {
  readonly type: string;
  readonly data: string | undefined;
  readonly id: string | undefined;
}

/** The events of a response, as a client receives them. */
export class EventReader {
  readonly events = new Mailbox<StreamEvent>();
  /** Resolves when the stream has ended. */
  readonly ended: Promise<void>;
  readonly #abort: AbortController;

  constructor(response: Response, abort: AbortController) {
    this.#abort = abort;
    this.ended = this.#read(response).catch((error) => {
      if (!abort.signal.aborted) throw error;
    });
  }

  /** The data of all events of a type, once there are at least `count`; parsed as JSON. */
  async data(type: string, count: number): Promise<unknown[]> {
    for (let seen = 0; ; ) {
      const all = await this.events.have(seen);
      const found = all.filter((event) => event.type === type);
      if (found.length >= count) return found.map(({ data = "null" }) => JSON.parse(data));
      seen = all.length + 1;
    }
  }

  /** The messages, once there are at least `count`. */
  messages(count: number): Promise<unknown[]> {
    return this.data("message", count);
  }

  /** The last id so far. */
  get lastId(): string | undefined {
    return this.events.all.findLast(({ id }) => id !== undefined)?.id;
  }

  /** The client goes away. */
  leave(): void {
    this.#abort.abort();
  }

  async #read(response: Response): Promise<void> {
    let rest = "";
    for await (const chunk of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
      const blocks = (rest + chunk).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) this.events.put(eventOf(block));
    }
  }
}

function eventOf(block: string): StreamEvent {
  const fields = block.split("\n").map((line) => /^(\w*): ?(.*)$/.exec(line));
  const values = (name: string) => fields.flatMap((field) => (field?.[1] === name ? [field[2] ?? ""] : []));
  const data = values("data");
  const [type = data.length === 0 ? "" : "message"] = values("event");
  return { type, data: data.length === 0 ? undefined : data.join("\n"), id: values("id")[0] };
}

type Fetch = (url: string, init?: RequestInit) => Promise<Response>;

/** Opens an event stream; it ends with the test. */
export async function listen(
  url: string,
  headers: Readonly<Record<string, string>> = {},
  fetcher: Fetch = fetch,
): Promise<EventReader> {
  const abort = new AbortController();
  onTestFinished(() => abort.abort());
  const accept = "text/event-stream";
  const response = await fetcher(url, { headers: { accept, ...headers }, signal: abort.signal });
  if (response.status !== 200) throw new Error(`the stream was refused with ${response.status}`);
  return new EventReader(response, abort);
}

/** Sends JSON, and returns the response. */
export function post(
  url: string,
  message: unknown,
  headers: Readonly<Record<string, string>> = {},
  fetcher: Fetch = fetch,
): Promise<Response> {
  const body = JSON.stringify(message);
  return fetcher(url, { method: "POST", body, headers: { "content-type": "application/json", ...headers } });
}

/** Reads the content of a room. */
export async function content(url: string, headers: Readonly<Record<string, string>> = {}): Promise<RoomContent> {
  const response = await fetch(url, { headers: { accept: "application/json", ...headers } });
  if (response.status !== 200) throw new Error(`the room was refused with ${response.status}`);
  // The form of docs/http.md.
  return (await response.json()) as RoomContent;
}

export interface RoomContent {
  readonly room: string;
  readonly position?: string;
  readonly lost?: { readonly reason: string; readonly missed?: number };
  readonly publications: readonly { readonly position: string; readonly data?: unknown }[];
  readonly presence?: { readonly count: number; readonly users?: readonly unknown[] };
}

/** The warnings of Node until the end of the test, such as of too many listeners. */
export function warningsOfNode(): Error[] {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on("warning", onWarning);
  onTestFinished(() => void process.off("warning", onWarning));
  return warnings;
}
