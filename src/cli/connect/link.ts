/** How a link ended. */
export interface Ending {
  /** True for the close code 1000. */
  readonly isNormal: boolean;
  /** The close code and the reason, as the server sent them. */
  readonly text: string;
}

/** What a line is sent as: a text, a JSON value, or the data of an event. */
export type Content =
  | { readonly text: string }
  | { readonly json: unknown }
  | { readonly event: string; readonly data: unknown };

/** A connection to a room, over one WebSocket or over several in turn. */
export interface Link {
  /** Resolves when it is connected for the first time. Stays pending if it never is. */
  readonly opened: Promise<unknown>;
  /** Resolves when it has ended for good. */
  readonly ended: Promise<Ending>;
  /** The number of lines that were lost or refused. */
  readonly failures: number;
  /** The number of lines that are not sent, or not answered by a server that answers. */
  readonly unanswered: number;
  send(content: Content): void;
  /** Resolves when at most `count` lines are unanswered. */
  whenAtMost(count: number): Promise<unknown>;
  /** Starts to close it. */
  close(): void;
}
