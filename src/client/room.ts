import type { Clock } from "../connection/clock.js";
import { checkedReason } from "../wire/closeCodes.js";
import type { RequestFrame, WelcomeFrame } from "../wire/frames.js";
import { checkName } from "../wire/options.js";
import type { Bytes } from "../wire/payload.js";
import type { Position } from "../wire/position.js";
import { newClientId, subprotocols, urlOf } from "./connection/address.js";
import type { Attempt, AttemptDeps } from "./connection/attempt.js";
import { clientClock } from "./connection/clock.js";
import { watchPage } from "./connection/page.js";
import { type ClientState, Reconnector, type StateDetail } from "./connection/reconnector.js";
import { defaultWebSocket } from "./connection/socket.js";
import type { ConnectOptions } from "./connectOptions.js";
import { asError, RequestError } from "./errors.js";
import type {
  EventArguments,
  EventName,
  EventReply,
  ServerEventData,
  ServerEventName,
  ServerOf,
  ServerRequestData,
  ServerRequestName,
  ServerRequestReply,
  StreamItem,
  StreamName,
  StreamReply,
} from "./events.js";
import { failures } from "./failures.js";
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
import { type StreamOptions, stream } from "./messages/stream.js";
import { whenOpened } from "./opened.js";
import { type Presence, PresenceState } from "./presence.js";
import { type InternalEvents, type RoomEvents, roomEventNames } from "./roomEvents.js";

/** A room that this client is connected to, across reconnects. Made by {@link connect}. */
export class ClientRoom<Client = unknown, Server = ServerOf<Client>>
  implements AsyncIterable<ClientMessage>, AsyncDisposable
{
  /** Resolves with the room when it is first connected; rejects with a `ConnectError` if it is closed before. */
  readonly opened: Promise<this>;
  readonly #clock: Clock;
  readonly #report = (error: unknown): void => {
    // An error without a listener is logged. The server's text may contain control characters.
    if (this.#listeners.emit("error", asError(error))) return;
    console.error(error instanceof RequestError ? printable(`${error.code}: ${error.message}`) : error);
  };
  readonly #listeners = new Listeners<InternalEvents>((error, event) => {
    if (event === "error") console.error(error);
    else this.#report(error);
  });
  /** Listeners of requests, and of the events that handlers emit, by name. */
  readonly #requestListeners = new Listeners<Record<string, [data: never]>>(this.#report);
  readonly #eventListeners = new Listeners<Record<string, [data: never]>>(this.#report);
  readonly #presenceState = new PresenceState(() => this.#reconnector.attempt?.send('{"type":"watch"}'));
  readonly #messages = new MessageQueue(this.#listeners, (message) => this.#deliver(message), this.#report);
  readonly #progress = new Progress(this.#messages, this.#listeners);
  readonly #sendQueue: SendQueue;
  readonly #reconnector: Reconnector;
  readonly #token: () => Promise<string | undefined>;
  readonly #unwatchPage: () => void;
  readonly #reportFailure = failures(this.#report);
  /** The last welcome. Its secret shows the server that the next connection is of the same client. */
  #welcome: WelcomeFrame | undefined;

  /** @internal */
  constructor(url: URL, options: ConnectOptions) {
    const { token, debug, onResync, queueMessagesMax = 100, queueBytesMax = 2 ** 20, clock = clientClock } = options;
    const { WebSocket = defaultWebSocket(), random = Math.random } = options;
    const client = newClientId();
    this.#clock = clock;
    this.#token = async () => (typeof token === "function" ? token() : token);
    if (debug) this.#log(debug === true ? (line) => console.debug(line) : debug);
    if (onResync) this.#messages.load(onResync);
    const attempts: AttemptDeps = {
      WebSocket,
      url: () => urlOf(url, client, this.#progress.positions),
      offer: async () => subprotocols(this.#welcome?.secret, await this.#token()),
      clock,
      trace: (line) => this.#listeners.emit("line", line),
      report: this.#report,
    };
    this.#reconnector = new Reconnector(attempts, random, {
      onFrame: (frame, size, isRenewed, connection) => this.#onFrame(frame, size, isRenewed, connection),
      resend: () => this.#sendQueue.flush(),
      onState: (state, detail) => this.#onState(state, detail),
    });
    this.#sendQueue = new SendQueue(this.#reconnector, this.#listeners, queueMessagesMax, queueBytesMax);
    this.opened = whenOpened(this);
    this.#unwatchPage = watchPage(({ type }) => this.#reconnector[type]());
  }

  /** The id of the connection, a new one after each reconnect; `undefined` before the first connection. */
  get id(): string | undefined {
    return this.#welcome?.id;
  }

  /** The state of the connection: `"connecting"`, `"open"`, `"waiting"` for an attempt, or `"closed"` for good. */
  get state(): ClientState {
    return this.#reconnector.state;
  }

  /** The position of the last publication received; `undefined` before the first connection and without history. */
  get position(): Position | undefined {
    return this.#progress.position;
  }

  /** The users in the room, if its route keeps presence. While disconnected, the users reported last. */
  get presence(): Presence {
    return this.#presenceState.presence;
  }

  /**
   * Calls `listener` for each event with this name; see {@link RoomEvents}. An error of the listener is reported to
   * `"error"`. Returns a function that removes the listener.
   *
   * @throws EnfiladeError `ERR_OPTION` when the event or an option is unknown.
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

  /**
   * Calls `listener` with the data of each event with this name that a handler emits: a message `{ event, data }`, the
   * form of `jsonEvents`. Returns a function that removes the listener.
   */
  onEvent<Event extends ServerEventName<Server>>(
    event: Event,
    listener: (data: ServerEventData<Server, Event>) => unknown,
    options?: ListenOptions,
  ): () => void;
  onEvent(event: string, listener: (data: never) => unknown, options: ListenOptions = {}): () => void {
    const remove = this.#eventListeners.on(event, listener, options);
    this.#read(options);
    return remove;
  }

  /**
   * Answers requests of the server with this name: the reply is the awaited result of `answer`. If it throws, the error
   * is reported to `"error"`, and the server gets the error `internal`. It is called at once, not in order with
   * messages. If an event has several listeners, the first one answers. Returns a function that removes the listener.
   *
   * @throws EnfiladeError `ERR_OPTION` when an option is unknown.
   */
  onRequest<Event extends ServerRequestName<Server>>(
    event: Event,
    answer: (data: ServerRequestData<Server, Event>) => ServerRequestReply<Server, Event>,
    options?: ListenOptions,
  ): () => void;
  onRequest(event: string, answer: (data: never) => unknown, options?: ListenOptions): () => void {
    return this.#requestListeners.on(event, answer, options);
  }

  /**
   * Calls `loadState` after the first connect, and after each reconnect that may have lost messages. Messages wait
   * until it settles. Its error is reported to `"error"`. If the room was connected before, it is called at once.
   * Returns a function that removes it.
   *
   * @throws EnfiladeError `ERR_OPTION` when an option is unknown.
   */
  onResync(loadState: LoadState, options?: ListenOptions): () => void {
    return this.#messages.load(loadState, options);
  }

  /**
   * `for await (const message of room)` reads the waiting messages and all later ones, until the room is closed. If
   * more than 1,000 wait for a slow loop, the oldest is dropped, and `"lost"` reports it.
   */
  [Symbol.asyncIterator](): AsyncGenerator<ClientMessage, void, undefined> {
    return readFrom(this.#listeners, this.#messages);
  }

  /**
   * Sends an event to the handler and resolves with the reply. Waits in a queue while there is no connection.
   *
   * Rejects with a `RequestError` when the server refuses, or with the code `timeout`, `queue_full` or `closed`; with a
   * `TypeError` when JSON cannot encode the data; with `ERR_OPTION` when an option is unknown.
   */
  request<Event extends EventName<Client, Server>>(
    event: Event,
    ...args: EventArguments<Client, Event, [options?: RequestOptions], Server>
  ): Promise<EventReply<Client, Event, Server>>;
  request(event: string, data?: unknown, options: RequestOptions = {}): Promise<unknown> {
    return request(this.#sendQueue, this.#clock, { type: "event", event, data }, options);
  }

  /**
   * Sends an event when the loop begins, and yields the values of its answer, over reconnects too. Leaving the loop
   * ends the generator of the handler. Throws as {@link request}, without a timeout, and `lost` if it cannot continue.
   *
   * @throws EnfiladeError `ERR_OPTION` when an option is unknown or invalid.
   */
  stream<Event extends StreamName<Client, Server>>(
    event: Event,
    ...args: EventArguments<Client, Event, [options?: StreamOptions], Server>
  ): AsyncGenerator<StreamItem<Client, Event, Server>, StreamReply<Client, Event, Server>, undefined>;
  stream(event: string, data?: unknown, options: StreamOptions = {}): AsyncGenerator<unknown, unknown, undefined> {
    return stream(this.#sendQueue, this.#clock, { type: "event", event, data }, options);
  }

  /**
   * Sends an event to the handler, without a reply. A refusal is reported to `"error"`. Waits in a queue while there is
   * no connection.
   *
   * @throws TypeError when JSON cannot encode the data.
   */
  emit<Event extends EventName<Client, Server>>(event: Event, ...args: EventArguments<Client, Event, [], Server>): void;
  emit(event: string, data?: unknown): void {
    this.#sendQueue.push({ type: "event", event, data });
  }

  /**
   * Sends a JSON message to the handler (`onJSON`). A refusal is reported to `"error"`. Waits in a queue while there is
   * no connection.
   *
   * @throws TypeError when JSON cannot encode the value, such as `undefined`.
   */
  sendJSON(value: unknown): void {
    if (value === undefined) throw new TypeError("undefined is not JSON");
    this.#sendQueue.push({ type: "message", data: value });
  }

  /** Sends a text message to the handler (`onMessage`). Otherwise like {@link sendJSON}. */
  sendText(text: string): void {
    this.#sendQueue.push({ type: "message", text });
  }

  /**
   * Sends a binary message to the handler (`onBinary`). Waits in a queue while there is no connection. It is sent at
   * most once, and is lost if the connection breaks before it arrives.
   *
   * @throws TypeError when `bytes` is not an `ArrayBuffer` or a view of one.
   */
  sendBinary(bytes: Bytes): void {
    this.#sendQueue.pushBinary(bytes);
  }

  /**
   * Sends the current `token` to the server, before the old one expires. The server calls `authorize` again; a refusal
   * closes the room with 4501.
   *
   * Does nothing without a connection, since each attempt sends the current token. Rejects with the error of `token`.
   */
  async refresh(): Promise<void> {
    const token = await this.#token();
    if (token && this.state === "open") {
      this.#reconnector.attempt?.send(JSON.stringify({ type: "refresh", token }), "refresh");
    }
  }

  /**
   * Closes the room for good: requests reject with `closed`, loops end, and waiting messages are dropped.
   *
   * @param code 1000, or a code from 3000 to 4999. Default: 1000.
   * @param reason Cut to 123 bytes. Default: none.
   * @throws EnfiladeError `ERR_CLOSE_CODE` for another code, or a reason that is not a string.
   */
  close(code = 1000, reason = ""): void {
    const checked = checkedReason(code, reason);
    this.#messages.discard();
    // Requests end while there is a connection, so that streams can be canceled.
    this.#sendQueue.close();
    this.#reconnector.close({ code, reason: checked });
  }

  /** Closes the room with 1000, at the end of the block of `await using room = connect(…)`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  /**
   * Logs each frame and each state as a line in an element of the page, the last `linesMax`. Returns a function that
   * ends the log.
   */
  attachLog(element: LogElement, linesMax = 500): () => void {
    return this.#log(logInto(element, linesMax));
  }

  #log(sink: (line: string) => unknown): () => void {
    return this.#listeners.on("line", (line) => sink(printable(line)));
  }

  /** Starts the delivery of messages to a listener. */
  #read({ signal }: ListenOptions): void {
    if (!signal?.aborted) this.#messages.read();
  }

  #deliver(message: ClientMessage): void {
    this.#listeners.emit("message", message);
    const { event, data } = Object(message.data);
    // The type of the data is the one that the listeners declare; it is not checked.
    if (typeof event === "string") this.#eventListeners.emit(event, data as never);
  }

  #onWelcome(welcome: WelcomeFrame, isRenewed: boolean): void {
    const emitProgress = this.#progress.begin(welcome, isRenewed, !this.#welcome);
    this.#welcome = welcome;
    this.#sendQueue.flush();
    if (!isRenewed) this.#onState("open", {});
    emitProgress();
  }

  #onFrame(frame: ReceivedFrame, size: number, isRenewed: boolean, connection: Attempt): void {
    if (frame.type === "welcome") this.#onWelcome(frame, isRenewed);
    else if (frame.type === "message") this.#progress.receive(frame, size);
    else if (frame.type === "reply" || frame.type === "item") this.#sendQueue.settle(frame, this.#report);
    else if (frame.type === "request") this.#answer(frame, connection);
    else if (frame.type === "error") this.#report(new RequestError(frame.error));
    else if (frame.type === "lagged") this.#progress.lag(frame);
    else if (frame.type === "joined" || frame.type === "left") this.#progress.move(frame);
    else if (frame.type === "presence" && frame.room === this.#welcome?.room && this.#presenceState.take(frame)) {
      this.#listeners.emit("presence", this.presence);
    }
  }

  /** Replies only on the connection of the request. On another one the id would belong to another request. */
  #answer(frame: RequestFrame, connection: Attempt): void {
    const [answer] = this.#requestListeners.of(frame.event);
    replyTo(frame, answer, this.#report)
      .then((reply) => connection.hasEnded || connection.send(reply))
      .catch(this.#report);
  }

  #onState(state: ClientState, detail: StateDetail): void {
    this.#listeners.emit("line", `${state} ${JSON.stringify(detail)}`);
    if (state === "closed") {
      this.#unwatchPage();
      this.#sendQueue.close();
      this.#messages.close();
    }
    this.#reportFailure(state, detail, this.#welcome !== undefined);
    this.#listeners.emit("state", state, detail);
  }
}
