/** An event as a client sent it. */
export interface IncomingEvent {
  readonly event: string;
  /** As it came; what a method gets has been through its schema. */
  readonly data?: unknown;
  /** What the reply is to bear; without it there is none. */
  readonly id?: string | number | undefined;
  /** The room it is about, by its path. The sender is in it: that is checked before any method is called. */
  readonly channel?: string | undefined;
}

/** What could be read of a message: without an `event` it is none. */
export type DecodedEvent = { readonly [Field in keyof IncomingEvent]?: IncomingEvent[Field] | undefined };
