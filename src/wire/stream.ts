import type { EventFailure } from "./events/failure.js";

/** The values that a handler answers an event with, one after another. */
export interface StreamSource {
  readonly values: AsyncIterable<unknown>;
  /** The part of an error that the client may see. Any other error is reported to the app. */
  failureOf(error: unknown): EventFailure;
  /** Reports an error that was thrown after the values were not wanted any more. */
  onLateError(error: unknown): void;
}

/** A client that reads the answer to its message as a stream. */
export interface StreamRequest {
  /** Aborted when no more values are wanted: the client has canceled, or cannot continue the stream any more. */
  readonly signal: AbortSignal;
  /** Sends the values to the client; the return value of the generator is the reply. */
  answerWith(source: StreamSource): void;
}

/** The fields of an event that asks for a stream; see PROTOCOL.md. */
export interface StreamFields {
  /** The first item that the client wants: 0, or the next one that it has not received. */
  readonly from: number;
  /** The number of the next item that its loop has not read; at most `from`. */
  readonly read: number;
  /** How many items may be sent before the loop of the client has read them. */
  readonly window: number;
  /** Names the stream for other clients of the same user, such as a page after a reload. */
  readonly key: string | undefined;
}

/** Items that a server sends before the client has acknowledged them, unless the client asks for another number. */
export const streamWindow = 256;
/** The largest window that a client may ask for. */
export const streamWindowMax = 1_024;
/** A key is chosen at random by the client. */
export const streamKeyPattern = /^[\w-]{16,64}$/;

/** The client cannot continue a stream: too much time has passed, too many values waited, or another server has it. */
export const lostStream: EventFailure = { code: "lost", message: "the stream cannot be continued" };
/** The client has canceled the stream. */
export const canceledStream: EventFailure = { code: "canceled", message: "the stream was canceled" };
/** The client did not ask for a stream. */
export const streamOnly: EventFailure = { code: "is_stream", message: "this event is answered with a stream" };
/** The limit `streamsMax`. */
export const tooManyStreams: EventFailure = { code: "too_many_streams", message: "too many streams at once" };
