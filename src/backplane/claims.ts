/** How much of the frames of one client is remembered. */
export interface ClaimWindow {
  /** The number of ids of one client. Above: the oldest is forgotten. */
  readonly receiptsMax: number;
  /** Milliseconds after the last frame of a client until its ids are forgotten. */
  readonly receiptsMs: number;
  /** The size of the stored replies of one client. Above: the oldest replies are dropped, their ids stay. */
  readonly clientReceiptsBytesMax: number;
}

/** A frame with an id, as all nodes identify it. */
export interface ClaimedFrame {
  /** Identifies the client over its connections: up to 64 characters of `A–Z a–z 0–9 - _`. */
  readonly client: string;
  /** The id of the frame as JSON: `7`, or `"7"` with its quotes. */
  readonly id: string;
  /** How much of the frames of this client is remembered. */
  readonly window: ClaimWindow;
}

/**
 * The result of a claim:
 *
 * - `run`: the frame is claimed for this call, so run its handler.
 * - `answered`: it was run before. `reply` is `undefined` if the reply was too long, or was dropped.
 * - `begun`: it was begun before, and its reply is not known: do not run it.
 * - `unavailable`: it was not claimed: do not run it now. It may be claimed again later.
 */
export type ClaimResult =
  | { readonly state: "run" | "begun" | "unavailable" }
  | { readonly state: "answered"; readonly reply: string | undefined };

/**
 * Claims frames of clients before they are run, so that only one node runs a frame that its client repeats.
 *
 * A frame is claimed once at a time on a node: the node recognizes frames that it is running.
 */
export interface Claims {
  /** Called before the handler gets a frame. Waits while another node runs it. Never rejects. */
  claim(frame: ClaimedFrame): Promise<ClaimResult>;
  /** Called when a frame has been answered. Stores the reply for other nodes; `undefined` if it is too long. */
  settle(frame: ClaimedFrame, reply: string | undefined): void;
  /** Called when a claimed frame was not run after all. It may then be claimed again. */
  release(frame: ClaimedFrame): void;
}
