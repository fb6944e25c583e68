/** An event that a client sent: the second argument of a method that answers events. */
export interface IncomingEvent {
  /** The name of the event. */
  readonly event: string;
  /** The data that the client sent, not checked. The first argument of the method is checked by the schema. */
  readonly data?: unknown;
  /**
   * The id of the event; without an id there is no reply. From a client of `enfilade.v1` it is the `id` of the
   * `Message`, which is unique over all clients. From a plain client it is the id that the client sent, and that the
   * reply repeats.
   */
  readonly id?: string | number | undefined;
  /**
   * The path of the room that the event is about, in protocols that have it, such as `commandEvents`. The sender is in
   * this room; this is checked before the call.
   */
  readonly channel?: string | undefined;
  /**
   * Aborted when the answer is not wanted any more. For a streamed reply: when the client cancels it, or cannot
   * continue it; a broken connection alone does not abort it. For any other reply: when the connection ends.
   */
  readonly signal: AbortSignal;
}

/** The fields that an event protocol could read from a message. Without `event` the message is not an event. */
export type DecodedEvent = {
  readonly [Field in Exclude<keyof IncomingEvent, "signal">]?: IncomingEvent[Field] | undefined;
};
