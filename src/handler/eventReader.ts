import { isThenable } from "../connection/inbox.js";
import { traces } from "../diagnostics.js";
import { ConnectionError, EventError, isInstance, MessageError } from "../errors.js";
import { closeUnread } from "../protocol/streams/pump.js";
import type { DecodedEvent } from "../wire/events/incomingEvent.js";
import { type EventFailure, type EventProtocol, internalFailure, type OutgoingEvent } from "../wire/events/protocol.js";
import { oneLine } from "../wire/line.js";
import type { Message } from "../wire/message.js";
import { nearest } from "../wire/options.js";
import { encodeEvent } from "../wire/payload.js";
import { validate } from "../wire/schema.js";
import { type StreamSource, streamOnly, tooManyStreams } from "../wire/stream.js";
import type { EventMethod } from "./decorators.js";
import { eventsOf } from "./eventTable.js";
import type { AnyHandler } from "./handler.js";
import {
  type BadMessage,
  binaryReader,
  dispatch,
  intercept,
  type Read,
  type Reader,
  type ReadSession,
  readingMethods,
  refuseJSON,
} from "./reader.js";
import { EventCall } from "./streams/eventCall.js";
import { hasStreamSpace, sendToPlain } from "./streams/plainStreams.js";

/** The part of an `EventHandler` class that this file reads. */
export interface EventClass {
  readonly name: string;
  readonly prototype: AnyHandler;
}

/** The reader of an `EventHandler` class: decodes each message with the event protocol and calls the event's method. */
export function eventReaderOf(eventClass: EventClass, protocol: EventProtocol, badMessage: BadMessage): Reader {
  const events = eventsOf(eventClass);
  const reader = new EventReader(events, protocol, badMessage);
  const readBinary = protocol.format === "binary" ? reader.read : binaryReader(eventClass.prototype);
  const onBinaryThrown = protocol.format === "binary" ? reader.onThrown : undefined;
  return {
    method: "onJSON",
    ignored: ignoredMethods(eventClass, events),
    read: dispatch(reader.read, readBinary),
    intercepted: (list) =>
      dispatch(intercept(reader.read, list, reader.onThrown), intercept(readBinary, list, onBinaryThrown)),
    onFailure: () => undefined,
  };
}

/** Reading methods of a class that answer no event: they are never called. */
function ignoredMethods({ prototype }: EventClass, events: ReadonlyMap<string, EventMethod>): readonly string[] {
  const answering = new Set([...events.values()].map(({ method }) => method));
  return readingMethods.filter((name) => typeof prototype[name] === "function" && !answering.has(name));
}

/** A method to call for a message. */
interface Call {
  readonly event: EventMethod;
  readonly incoming: EventCall;
}

/** Sends the reply of a method. Returns a promise if it could not be sent at once. */
type SendReply = (session: ReadSession, call: Call, data: unknown) => Promise<void> | undefined;

/** Characters of an unknown event name in the log. */
const nameLengthMax = 64;

/** Answers the events of one route. */
class EventReader {
  readonly #events: ReadonlyMap<string, EventMethod>;
  readonly #protocol: EventProtocol;
  readonly #badMessage: BadMessage;
  /** Chosen once: replies are checked only by a contract, and not in production. */
  readonly #reply: SendReply;

  constructor(events: ReadonlyMap<string, EventMethod>, protocol: EventProtocol, badMessage: BadMessage) {
    this.#events = events;
    this.#protocol = protocol;
    this.#badMessage = badMessage;
    const isChecked = [...events.values()].some(({ checkReply }) => checkReply !== undefined);
    this.#reply = isChecked ? this.#checkedReply : this.#uncheckedReply;
  }

  /** Returns a promise only if the schema or the method is asynchronous. */
  readonly read: Read = (session, message) => {
    const call = this.#callOf(session, message);
    if (call === undefined) return undefined;
    const { event, incoming } = call;
    try {
      const data = readData(event, incoming.data);
      if (data instanceof Promise) return this.#callLater(session, call, data);
      // Registration checked that every event names a method of its class.
      const method: (data: unknown, incoming: EventCall) => unknown = Reflect.get(session.handler, event.method);
      const reply = traces.handler.hasSubscribers
        ? session.trace(method, event.method, [data, incoming], incoming.event)
        : method.call(session.handler, data, incoming);
      return isThenable(reply) ? this.#replyLater(session, call, reply) : this.#reply(session, call, reply);
    } catch (error) {
      return this.#fail(session, call, error);
    }
  };

  /** Answers the client when an interceptor threw, as when the method threw. */
  readonly onThrown = (session: ReadSession, message: Message, thrown: unknown): Promise<void> | undefined => {
    const call = this.#callOf(session, message);
    if (call !== undefined) return this.#fail(session, call, thrown);
    return refusalOf(thrown) !== undefined ? undefined : session.report(thrown, "an interceptor");
  };

  /** The call for a message; `undefined` when the message was refused. */
  #callOf(session: ReadSession, message: Message): Call | undefined {
    const decoded = this.#decode(session, message);
    if (decoded === undefined) return undefined;
    const { event: name, channel } = decoded;
    if (typeof name !== "string") return this.#refuse(session, { id: decoded.id }, malformed(this.#protocol));
    const event = this.#events.get(name);
    if (event === undefined) {
      this.#warnOfUnknown(session, name);
      return this.#refuse(session, decoded, unknownEvent);
    }
    const { app } = session.handler;
    const room = channel === undefined ? undefined : app.registry.roomOf(session.member.id, channel);
    if (room === undefined && channel !== undefined) return this.#refuse(session, decoded, notMember);
    return { event, incoming: new EventCall(session.member, name, decoded, message, room) };
  }

  /** Warns of the first unknown event: a developer may have misspelled a name, but a client may send any number. */
  #warnOfUnknown(session: ReadSession, name: string): void {
    session.warn("unknown event", () => {
      const shown = oneLine(name, nameLengthMax);
      const names = [...this.#events.keys()];
      const near = nearest(shown, names);
      const hint = near ? `did you mean "${near}"?` : `it answers: ${names.join(", ") || "no event"}`;
      return `received the event "${shown}", which it does not answer; ${hint}`;
    });
  }

  #decode(session: ReadSession, message: Message): DecodedEvent | undefined {
    try {
      const known = message.origin?.event;
      // The dialect has written this text itself, with these fields.
      if (known === null) return message.json() as DecodedEvent;
      // A protocol written in JavaScript may return nothing.
      const decoded: DecodedEvent | null | undefined = known ?? this.#protocol.decode(message);
      return decoded ?? {};
    } catch (error) {
      if (this.#badMessage === "error") return this.#refuse(session, {}, unreadable(error, this.#protocol));
      const phrase = this.#protocol.format === "json" ? "the message is not JSON" : "the message is not valid";
      refuseJSON(session, this.#badMessage, phrase);
      return undefined;
    }
  }

  async #callLater(session: ReadSession, call: Call, reading: Promise<unknown>): Promise<void> {
    const { event, incoming } = call;
    try {
      const data = await reading;
      const sending = this.#reply(session, call, await session.call(event.method, [data, incoming], incoming.event));
      if (sending !== undefined) await sending;
    } catch (error) {
      await this.#fail(session, call, error);
    }
  }

  async #replyLater(session: ReadSession, call: Call, reply: PromiseLike<unknown>): Promise<void> {
    try {
      const sending = this.#reply(session, call, await reply);
      if (sending !== undefined) await sending;
    } catch (error) {
      await this.#fail(session, call, error);
    }
  }

  /** Returns a promise only if the schema of the reply is asynchronous. */
  readonly #checkedReply: SendReply = (session, call, data) => {
    const { checkReply, checkStream } = call.event;
    if (isAsyncIterable(data)) return this.#uncheckedReply(session, call, checkStream?.(data) ?? data);
    const checking = checkReply?.(data);
    if (!isThenable(checking)) return this.#uncheckedReply(session, call, data);
    return this.#replyWhenChecked(session, call, data, checking);
  };

  async #replyWhenChecked(session: ReadSession, call: Call, data: unknown, checking: PromiseLike<unknown>) {
    try {
      await checking;
      this.#uncheckedReply(session, call, data);
    } catch (error) {
      await this.#fail(session, call, error);
    }
  }

  readonly #uncheckedReply: SendReply = (session, call, data) => {
    if (isAsyncIterable(data)) {
      this.#stream(session, call, data);
      return undefined;
    }
    const { id } = call.incoming;
    const isAwaited = session.member.dialect.replies?.isAwaited ?? false;
    if (id !== undefined || isAwaited) this.#send(session, { kind: "reply", id: id ?? "", data });
    return undefined;
  };

  /** Answers with values, one after another. A client that did not ask for them gets an error. */
  #stream(session: ReadSession, call: Call, values: AsyncIterable<unknown>): void {
    const { member } = session;
    const { id, event } = call.incoming;
    const source = this.#sourceOf(session, call, values);
    const request = EventCall.streamOf(call.incoming);
    const isPlain = member.dialect.replies === undefined && id !== undefined;
    if (request !== undefined) {
      request.answerWith(source);
    } else if (isPlain && hasStreamSpace(member)) {
      sendToPlain(source, member, { id, event }, (outgoing) => this.#send(session, outgoing));
    } else {
      closeUnread(source);
      this.#refuse(session, call.incoming, isPlain ? tooManyStreams : streamOnly);
    }
  }

  #sourceOf(session: ReadSession, { event, incoming }: Call, values: AsyncIterable<unknown>): StreamSource {
    return {
      values,
      failureOf: (error) => {
        const refusal = refusalOf(error);
        if (refusal === undefined) void session.report(error, event.method);
        return refusal ?? internalFailure;
      },
      onLateError: (error) => {
        // The generator was told to stop by its signal.
        const { signal } = incoming;
        const isStop = signal.aborted && (error === signal.reason || isAbortError(error));
        if (!isStop && refusalOf(error) === undefined) void session.report(error, event.method);
      },
    };
  }

  /** Answers with the error and keeps the connection open. Errors that are no refusal are also reported to the app. */
  #fail(session: ReadSession, { event, incoming }: Call, error: unknown): Promise<void> | undefined {
    const refusal = refusalOf(error);
    this.#refuse(session, incoming, refusal ?? internalFailure);
    const isReported = refusal === undefined && !isEndOfConnection(session, error);
    return isReported ? session.report(error, event.method) : undefined;
  }

  #refuse(session: ReadSession, { id, event }: DecodedEvent, error: EventFailure): undefined {
    this.#send(session, { kind: "error", id, event, error });
  }

  #send({ member }: ReadSession, outgoing: OutgoingEvent): void {
    if (member.dialect.replies?.reply(outgoing) !== true) member.send(encodeEvent(outgoing, this.#protocol));
  }
}

/** Whether a pending read or request of the method ended with the connection. That is not an error of the method. */
function isEndOfConnection({ member }: ReadSession, error: unknown): boolean {
  return isInstance(error, ConnectionError) && member.closeInfo !== undefined;
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === "object" && value !== null && Symbol.asyncIterator in value;
}

function isAbortError(error: unknown): boolean {
  return isInstance(error, Error) && error.name === "AbortError";
}

function readData({ schema, raw }: EventMethod, data: unknown): unknown {
  if (raw === true) return JSON.stringify(data) ?? "null";
  return schema === undefined ? data : validate(schema, data);
}

/** The part of an error that the client may see: its data was bad, or the method refused the event. */
function refusalOf(error: unknown): EventFailure | undefined {
  try {
    if (isInstance(error, EventError)) return { code: error.eventCode, message: error.message };
    const isBadData = isInstance(error, MessageError) && error.code === "ERR_SCHEMA";
    return isBadData ? { code: "bad_data", message: error.message, issues: error.issues } : undefined;
  } catch {
    // A getter of a subclass threw.
    return undefined;
  }
}

const unknownEvent: EventFailure = { code: "unknown_event", message: "there is no such event" };
const notMember: EventFailure = { code: "not_member", message: "you are not in this channel" };

function unreadable(error: unknown, protocol: EventProtocol): EventFailure {
  const isText = isInstance(error, MessageError) && error.code === "ERR_BAD_JSON";
  return isText ? { code: "bad_json", message: "the message is not JSON" } : malformed(protocol);
}

function malformed({ example }: EventProtocol): EventFailure {
  return { code: "bad_message", message: `expected ${example}` };
}
