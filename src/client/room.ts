import type { Clock } from "../connection/clock.js";
import { checkedReason } from "../wire/closeCodes.js";
import type { RequestFrame, WelcomeFrame } from "../wire/frames.js";
import { checkName } from "../wire/options.js";
import type { Bytes } from "../wire/payload.js";
import type { Position } from "../wire/position.js";
import { newClientId, subprotocols, urlOf } from "./connection/address.js";
import { type AttemptDeps, notAttempted } from "./connection/attempt.js";
import { clientClock } from "./connection/clock.js";
import { watchPage } from "./connection/page.js";
import { type ClientState, Reconnector, type StateDetail } from "./connection/reconnector.js";
import { defaultWebSocket } from "./connection/socket.js";
import type { ConnectOptions } from "./connectOptions.js";
import { asError, ConnectError, RequestError } from "./errors.js";
import type {
  EventArguments,
  EventName,
  EventReply,
  ServerEventData,
  ServerEventName,
  ServerRequestData,
  ServerRequestName,
  ServerRequestReply,
} from "./events.js";
import { Listeners, type ListenOptions } from "./listeners.js";
import { type LogElement, logInto, printable } from "./log.js";
import type { ClientMessage } from "./messages/message.js";
import { type LoadState, MessageQueue } from "./messages/messageQueue.js";
import { Progress } from "./messages/progress.js";
import { readFrom } from "./messages/reader.js";
import type { ReceivedFrame } from "./messages/readFrame.js";
import { replyTo } from "./messages/reply.js";
import { type RequestOptions, request } from "./messages/request.js";
import { SendQueue } from "./messages/sendQueue.js";
import { type Presence, PresenceState } from "./presence.js";
import { type InternalEvents, type RoomEvents, roomEventNames } from "./roomEvents.js";

/** A room as a client has it, over however many connections that takes; made by {@link connect}. */
export class ClientRoom<Client = unknown, Server = unknown> implements AsyncIterable<ClientMessage>, AsyncDisposable {
  /**
   * Resolves with the room at its first welcome.
   *
   * @throws ConnectError (as a rejection) when the room is closed before.
   */
  readonly opened: Promise<this>;
  readonly #clock: Clock;
  readonly #report = (error: unknown): void => {
    // What nobody listens for must not go unseen; what the server said is shown so that it can do nothing.
    if (this.#listeners.tell("error", asError(error))) return;
    console.error(error instanceof RequestError ? printable(`${error.code}: ${error.message}`) : error);
  };
  readonly #listeners = new Listeners<InternalEvents>((error, event) => {
    if (event === "error") console.error(error);
    else this.#report(error);
  });
  /** Listeners of requests, by the name of the event. */
  readonly #answers = new Listeners<Record<string, [data: never]>>(this.#report);
  /** Listeners of named events that handlers emit. */
  readonly #events = new Listeners<Record<string, [data: never]>>(this.#report);
  readonly #roster = new PresenceState(() => this.#line.send('{"type":"watch"}'));
  readonly #inbox = new MessageQueue(this.#listeners, (message) => this.#deliver(message), this.#report);
  readonly #progress = new Progress(this.#inbox, this.#listeners);
  readonly #outbox: SendQueue;
  readonly #line: Reconnector;
  readonly #token: () => Promise<string | undefined>;
  readonly #unwatchPage: () => void;
  #home = "";
  /** The status of the last attempts that failed, or the close code of those before the first welcome. */
  #failure: number | undefined;
  #id: string | undefined;

  /** @internal */
  constructor(url: URL, options: ConnectOptions) {
    const { token, debug, onResync, queueMessagesMax = 100, queueBytesMax = 2 ** 20, clock = clientClock } = options;
    const { WebSocket = defaultWebSocket(), random = Math.random } = options;
    const client = newClientId();
    this.#clock = clock;
    this.#token = async () => (typeof token === "function" ? token() : token);
    if (debug) this.#log(debug === true ? (line) => console.debug(line) : debug);
    if (onResync) this.#inbox.load(onResync);
    const attempts: AttemptDeps = {
      WebSocket,
      url: () => urlOf(url, client, this.position),
      offer: async () => subprotocols(await this.#token()),
      clock,
      trace: (line) => this.#listeners.tell("line", line),
      report: this.#report,
    };
    this.#line = new Reconnector(attempts, random, {
      onFrame: (frame, size, isRenewed) => this.#take(frame, size, isRenewed),
      onState: (state, detail) => this.#become(state, detail),
    });
    this.#outbox = new SendQueue(this.#line, this.#listeners, queueMessagesMax, queueBytesMax);
    this.opened = new Promise((resolve, reject) => {
      this.on("state", (state, detail) => {
        if (state === "open") resolve(this);
        else if (state === "closed") reject(new ConnectError(detail));
      });
    });
    // Who never asks for it is not told by an unhandled rejection.
    this.opened.catch(() => undefined);
    this.#unwatchPage = watchPage(({ type }) => this.#line[type]());
  }

  /** The id of the connection, another one after each reconnect; `undefined` before the first. */
  get id(): string | undefined {
    return this.#id;
  }

  /** Whether there is a connection, or will be. */
  get state(): ClientState {
    return this.#line.state;
  }

  /** What was received last; `undefined` where the server keeps no history, and before the first connection. */
  get position(): Position | undefined {
    return this.#progress.position;
  }

  /** Who is in the room, where its route keeps presence; of the last connection while there is none. */
  get presence(): Presence {
    return this.#roster.presence;
  }

  /**
   * Calls `listener` with each event of that name; an error that it throws is reported to `"error"`.
   *
   * Returns a function that removes the listener.
   *
   * @throws EnfiladeError `ERR_OPTION` when there is no such event or option.
   */
  on<Name extends keyof RoomEvents>(
    event: Name,
    listener: (...args: RoomEvents[Name]) => unknown,
    options: ListenOptions = {},
  ): () => void {
    checkName("a room has no event", event, roomEventNames);
    const remove = this.#listeners.on<Name>(event, listener, options);
    if (event === "message") this.#read(options);
    return remove;
  }

  /** As {@link on}, but with the data of each event of this name that a handler emits, in the form of `jsonEvents`. */
  onEvent<Event extends ServerEventName<Server>>(
    event: Event,
    listener: (data: ServerEventData<Server, Event>) => unknown,
    options?: ListenOptions,
  ): () => void;
  onEvent(event: string, listener: (data: never) => unknown, options: ListenOptions = {}): () => void {
    const remove = this.#events.on(event, listener, options);
    this.#read(options);
    return remove;
  }

  /**
   * Answers requests of this event that the server sends: with what `answer` returns, awaited. What it throws is reported to `"error"`,
   * and the server gets the error `internal`. It is asked at once, also while messages are held.
   *
   * Of several for one event the first answers. Returns a function that removes it.
   *
   * @throws EnfiladeError `ERR_OPTION` when there is no such option.
   */
  onRequest<Event extends ServerRequestName<Server>>(
    event: Event,
    answer: (data: ServerRequestData<Server, Event>) => ServerRequestReply<Server, Event>,
    options?: ListenOptions,
  ): () => void;
  onRequest(event: string, answer: (data: never) => unknown, options?: ListenOptions): () => void {
    return this.#answers.on(event, answer, options);
  }

  /**
   * Calls `loadState` after the first welcome, and after each one with which messages may be missing. Messages are held
   * until it settles; an error that it throws is reported to `"error"`. Returns a function that removes it.
   *
   * It is called at once if the room was welcomed before.
   *
   * @throws EnfiladeError `ERR_OPTION` when there is no such option.
   */
  onResync(loadState: LoadState, options?: ListenOptions): () => void {
    return this.#inbox.load(loadState, options);
  }

  /** Messages from now on, and what was held; ends when the room is closed. A slow loop loses the oldest past 1,000, told by `"lost"`. */
  [Symbol.asyncIterator](): AsyncGenerator<ClientMessage, void, undefined> {
    return readFrom(this.#listeners, this.#inbox);
  }

  /**
   * Calls an event of the handler and resolves with its reply.
   *
   * @throws RequestError (as a rejection) with the server's refusal, or with `timeout`, `queue_full` or `closed`.
   * @throws TypeError (as a rejection) when JSON has no form for the data.
   * @throws EnfiladeError (as a rejection) `ERR_OPTION` when there is no such option.
   */
  request<Event extends EventName<Client, Server>>(
    event: Event,
    ...args: EventArguments<Client, Event, [options?: RequestOptions], Server>
  ): Promise<EventReply<Client, Event, Server>>;
  request(event: string, data?: unknown, options: RequestOptions = {}): Promise<unknown> {
    return request(this.#outbox, this.#clock, { type: "event", event, data }, options);
  }

  /**
   * Calls an event of the handler; a refusal is reported to `"error"`. Waits in a queue while there is no connection.
   *
   * @throws TypeError when JSON has no form for the data.
   */
  emit<Event extends EventName<Client, Server>>(event: Event, ...args: EventArguments<Client, Event, [], Server>): void;
  emit(event: string, data?: unknown): void {
    this.#outbox.push({ type: "event", event, data });
  }

  /**
   * Sends a message to the handler; a refusal is reported to `"error"`. Waits in a queue while there is no connection.
   *
   * @throws TypeError when JSON has no form for the value, as for `undefined`.
   */
  sendJSON(value: unknown): void {
    if (value === undefined) throw new TypeError("undefined is no JSON");
    this.#outbox.push({ type: "message", data: value });
  }

  /** As {@link sendJSON}, but a text as it is. */
  sendText(text: string): void {
    this.#outbox.push({ type: "message", text });
  }

  /**
   * Sends a binary message to the handler, without an answer. Waits in a queue while there is no connection.
   *
   * It is sent at most once: when the connection breaks while it is under way, it may be lost.
   *
   * @throws TypeError when `bytes` are none.
   */
  sendBinary(bytes: Bytes): void {
    this.#outbox.pushBinary(bytes);
  }

  /**
   * Sends the server new credentials before the old ones expire: what `token` is, or returns now.
   *
   * Without a connection there is nothing to do, since each attempt asks for them. A refusal closes the room with 4501.
   * Rejects with what `token` throws.
   */
  async refresh(): Promise<void> {
    const token = await this.#token();
    if (token && this.state === "open") {
      this.#line.send(JSON.stringify({ type: "refresh", token }), "refresh");
    }
  }

  /**
   * Closes the connection, for good: requests are rejected, loops end, and what is held or queued is given up.
   *
   * @param code Default: 1000. Else from 3000 to 4999.
   * @param reason Cut to 123 bytes. Default: none.
   * @throws EnfiladeError `ERR_CLOSE_CODE` for another code.
   */
  close(code = 1000, reason = ""): void {
    const checked = checkedReason(code, reason);
    this.#inbox.discard();
    this.#line.close({ code, reason: checked });
  }

  /** Closes the room with 1000, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  /**
   * Appends a line to an element of a page for each frame and each state, as text that no markup can leave. Returns what ends it.
   *
   * @param linesMax Past it the oldest line goes. Default: 500.
   */
  attachLog(element: LogElement, linesMax = 500): () => void {
    return this.#log(logInto(element, linesMax));
  }

  /** Without a log, which is the default, a line costs next to nothing. */
  #log(sink: (line: string) => unknown): () => void {
    return this.#listeners.on("line", (line) => sink(printable(line)));
  }

  /** A listener that is registered receives what was held. */
  #read({ signal }: ListenOptions): void {
    if (!signal?.aborted) this.#inbox.read();
  }

  #deliver(message: ClientMessage): void {
    this.#listeners.tell("message", message);
    const { event, data } = Object(message.data);
    // What an event carries is the server's word, as its listeners declare it.
    if (typeof event === "string") this.#events.tell(event, data as never);
  }

  #enter(welcome: WelcomeFrame, isRenewed: boolean): void {
    ({ id: this.#id, room: this.#home } = welcome);
    const report = this.#progress.begin(welcome, isRenewed);
    this.#outbox.restart();
    if (!isRenewed) this.#become("open", {});
    report();
  }

  #take(frame: ReceivedFrame, size: number, isRenewed: boolean): void {
    if (frame.type === "welcome") this.#enter(frame, isRenewed);
    else if (frame.type === "message") this.#progress.receive(frame, size);
    else if (frame.type === "reply") this.#outbox.settle(frame, this.#report);
    else if (frame.type === "request") this.#answer(frame);
    else if (frame.type === "error") this.#report(new RequestError(frame.error));
    else if (frame.type === "lagged") this.#progress.lag(frame);
    else if (frame.type === "presence" && frame.room === this.#home && this.#roster.take(frame)) {
      this.#listeners.tell("presence", this.presence);
    }
  }

  /** On the connection that it came on, or not at all: on another one the id would be another request's. */
  #answer(frame: RequestFrame): void {
    const id = this.#id;
    const [answer] = this.#answers.of(frame.event);
    replyTo(frame, answer, this.#report)
      .then((reply) => this.#id === id && this.state === "open" && this.#line.send(reply))
      .catch(this.#report);
  }

  #become(state: ClientState, detail: StateDetail): void {
    this.#listeners.tell("line", `${state} ${JSON.stringify(detail)}`);
    if (state === "closed") {
      this.#unwatchPage();
      this.#outbox.close();
      this.#inbox.close();
    }
    const { status, code, reason } = detail;
    // A connection that breaks later is restored, and no error. One that was never there may have a wrong URL.
    const isUnreachable = state === "waiting" && !this.#id && reason !== notAttempted;
    const failure = status ?? (isUnreachable ? code : undefined);
    // Once for failures in a row that are the same.
    if (failure && failure !== this.#failure) this.#report(new ConnectError(detail));
    if (failure || state === "open") this.#failure = failure;
    this.#listeners.tell("state", state, detail);
  }
}
