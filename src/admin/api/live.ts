import type { Overview } from "./overview.js";

/** The events that a page sends over `{path}/live`. */
export interface LiveCalls {
  /** Starts a tap; the id is chosen by the page, and one page has at most 4 taps. Answered with `{}`. */
  tap: { readonly id: string; readonly filter: LiveFilter };
  /** Ends a tap. Answered with `{}`. */
  untap: { readonly id: string };
}

export type LiveDirection = "in" | "out" | "publish" | "lifecycle";

export interface LiveFilter {
  /** A room such as `/chat/a`, or a tree such as `/chat/**`. */
  readonly room?: string;
  readonly user?: string;
  /** The id of one connection. */
  readonly connection?: string;
  readonly direction?: LiveDirection | readonly LiveDirection[];
  readonly text?: string;
}

/** The events that the server sends over `{path}/live`. */
export interface LiveEvents {
  /** Every second. */
  overview: Overview;
  /** At most 4 times a second for each node. */
  entries: EntryBatch;
}

export interface EntryBatch {
  /** The id of the tap. */
  readonly id: string;
  readonly node: string;
  /** How many entries were dropped before these. */
  readonly missed: number;
  /** At most 500, and at most 256 KiB as JSON. */
  readonly entries: readonly LiveEntry[];
}

export interface LiveEntry {
  readonly at: number;
  readonly direction: LiveDirection;
  /** For `lifecycle`. */
  readonly type?: "open" | "close" | "refuse" | "error";
  /** The id of the connection. */
  readonly connection?: string;
  readonly user?: string;
  /** The path of the connection, or of the refused request. */
  readonly path?: string;
  /** For `out`: the room or the tree that it was published to. For `publish`: what it was published to, as text. */
  readonly to?: string;
  readonly kind?: "json" | "text" | "binary" | "notice";
  /** The content, cut to 4,096 characters; binary content in base64. The message of an error. */
  readonly text?: string;
  /** The size of the content before it was cut. */
  readonly bytes?: number;
  /** For `publish`: the offset in the history of the room. */
  readonly offset?: number;
  /** The close code, or the HTTP status of a refusal. */
  readonly code?: number;
  readonly reason?: string;
}
