import type { Clock } from "../connection/clock.js";
import { checkedReason } from "../wire/closeCodes.js";
import type { WelcomeFrame } from "../wire/frames.js";
import { checkName } from "../wire/options.js";
import type { Position } from "../wire/position.js";
import { newClientId, subprotocols, urlOf } from "./connection/address.js";
import type { AttemptDeps } from "./connection/attempt.js";
import { clientClock } from "./connection/clock.js";
import { watchPage } from "./connection/page.js";
import { type ClientState, Reconnector, type StateDetail } from "./connection/reconnector.js";
import { defaultWebSocket } from "./connection/socket.js";
import type { ConnectOptions } from "./connectOptions.js";
import { asError, RequestError } from "./errors.js";
import type { EventArguments, EventName, EventReply } from "./events.js";
import { Listeners, type ListenOptions } from "./listeners.js";
import { type LogElement, logInto, printable, Trace } from "./log.js";
import type { ClientMessage } from "./messages/message.js";
import { type LoadState, MessageQueue } from "./messages/messageQueue.js";
import { Progress } from "./messages/progress.js";
import { readFrom } from "./messages/reader.js";
import type { ReceivedFrame } from "./messages/readFrame.js";
import { type RequestOptions, request } from "./messages/request.js";
import { SendQueue } from "./messages/sendQueue.js";
import { type Presence, PresenceState } from "./presence.js";
import { type RoomEvents, roomEventNames } from "./roomEvents.js";

/** What is told inside as well: that no more messages come. */
interface AllEvents extends RoomEvents {
  end: [];
}

/** A room as a client has it, over however many connections that takes; made by {@link connect}. */
export class ClientRoom<Handler = unknown> implements AsyncIterable<ClientMessage> {
  readonly #clock: Clock;
  readonly #report = (error: unknown): void => {
    // What nobody listens for must not go unseen; what the server said is shown so that it can do nothing.
    if (this.#listeners.tell("error", asError(error))) return;
    console.error(error instanceof RequestError ? printable(`${error.code}: ${error.message}`) : error);
  };
  readonly #listeners = new Listeners<AllEvents>((error, event) => {
    if (event === "error") console.error(error);
    else this.#report(error);
  });
  /** Listeners of named events that handlers emit. */
  readonly #events = new Listeners<Record<string, [data: unknown]>>(this.#report);
  readonly #trace = new Trace(this.#report);
  readonly #roster = new PresenceState(() => this.#line.send('{"type":"watch"}'));
  readonly #inbox = new MessageQueue({
    onMessage: (message) => this.#deliver(message),
    onLost: (lost) => this.#listeners.tell("lost", lost),
    report: this.#report,
  });
  readonly #progress = new Progress({
    queue: this.#inbox,
    onRecovered: (recovered) => this.#listeners.tell("recovered", recovered),
    onLost: (lost) => this.#listeners.tell("lost", lost),
  });
  readonly #outbox: SendQueue;
  readonly #line: Reconnector;
  readonly #token: () => Promise<string | undefined>;
  readonly #unwatchPage: () => void;
  #home = "";
  #id: string | undefined;
  #hasEnded = false;

  /** @internal */
  constructor(url: URL, options: ConnectOptions) {
    const { token, debug, onResync, queueMessagesMax = 100, queueBytesMax = 2 ** 20, clock = clientClock } = options;
    const { WebSocket = defaultWebSocket(), random = Math.random } = options;
    const client = newClientId();
    this.#clock = clock;
    this.#token = async () => (typeof token === "function" ? token() : token);
    if (debug) this.#trace.add(debug === true ? (line) => console.debug(line) : debug);
    if (onResync !== undefined) this.#inbox.load(onResync);
    this.#outbox = new SendQueue({
      messagesMax: queueMessagesMax,
      bytesMax: queueBytesMax,
      isOpen: () => this.#line.state === "open",
      send: (text) => this.#line.send(text),
      onDropped: (dropped) => this.#listeners.tell("dropped", dropped),
      onRefused: this.#report,
    });
    const attempts: AttemptDeps = {
      WebSocket,
      url: () => urlOf(url, client, this.position),
      offer: async () => subprotocols(await this.#token()),
      clock,
      trace: this.#trace,
      report: this.#report,
    };
    this.#line = new Reconnector(attempts, random, {
      onWelcome: (welcome, isRenewed) => this.#enter(welcome, isRenewed),
      onFrame: (frame, size) => this.#take(frame, size),
      onState: (state, detail) => this.#become(state, detail),
    });
    this.#unwatchPage = watchPage({
      online: () => this.#line.wake(),
      offline: () => this.#line.lose(),
      pagehide: () => this.#line.sleep(),
      pageshow: () => this.#line.rise(),
    });
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
    checkName("a room has no event", event, roomEventNames());
    const remove = this.#listeners.on<Name>(event, listener, options);
    if (event === "message") this.#read(options);
    return remove;
  }

  /** As {@link on}, but with the data of each event of this name that a handler emits, in the form of `jsonEvents`. */
  onEvent(event: string, listener: (data: unknown) => unknown, options: ListenOptions = {}): () => void {
    const remove = this.#events.on(event, listener, options);
    this.#read(options);
    return remove;
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
    return readFrom(
      (put, end) => this.#attach(put, end),
      () => this.#listeners.tell("lost", { reason: "overflow", missed: 1 }),
    );
  }

  /**
   * Calls an event of the handler and resolves with its reply.
   *
   * @throws RequestError (as a rejection) with the server's refusal, or with `timeout`, `queue_full` or `closed`.
   * @throws TypeError (as a rejection) when JSON has no form for the data.
   * @throws EnfiladeError (as a rejection) `ERR_OPTION` when there is no such option.
   */
  request<Event extends EventName<Handler>>(
    event: Event,
    ...args: EventArguments<Handler, Event, [options?: RequestOptions]>
  ): Promise<EventReply<Handler, Event>>;
  request(event: string, data?: unknown, options: RequestOptions = {}): Promise<unknown> {
    return request(this.#outbox, this.#clock, { type: "event", event, data }, options);
  }

  /**
   * Calls an event of the handler; a refusal is told to `"error"`. Waits in a queue while there is no connection.
   *
   * @throws TypeError when JSON has no form for the data.
   */
  emit<Event extends EventName<Handler>>(event: Event, ...args: EventArguments<Handler, Event>): void;
  emit(event: string, data?: unknown): void {
    this.#outbox.push({ type: "event", event, data });
  }

  /**
   * Sends a message to the handler; a refusal is told to `"error"`. Waits in a queue while there is no connection.
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
   * Gives the server the credentials anew, before the old ones end: what `token` is, or returns now.
   *
   * Without a connection there is nothing to do, since each attempt asks for them. A refusal closes the room with 4501.
   * Rejects with what `token` throws.
   */
  async refresh(): Promise<void> {
    const token = await this.#token();
    if (token !== undefined && this.state === "open") {
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
    this.#line.close(code, checked);
  }

  /**
   * Appends a line to an element of a page for each frame and each state, as text that no markup can leave. Returns what ends it.
   *
   * @param linesMax Past it the oldest line goes. Default: 500.
   */
  attachLog(element: LogElement, linesMax = 500): () => void {
    return this.#trace.add(logInto(element, linesMax));
  }

  /** A listener that is there hears what was held. */
  #read({ signal }: ListenOptions): void {
    if (!signal?.aborted) this.#inbox.read();
  }

  #deliver(message: ClientMessage): void {
    this.#listeners.tell("message", message);
    const { event, data } = Object(message.data);
    if (typeof event === "string") this.#events.tell(event, data);
  }

  #attach(put: (message: ClientMessage) => void, end: () => void): () => void {
    const detach = [this.#listeners.on("message", put), this.#listeners.on("end", end)];
    if (this.#hasEnded) end();
    this.#inbox.read();
    return () => {
      for (const off of detach) off();
    };
  }

  #enter(welcome: WelcomeFrame, isRenewed: boolean): void {
    this.#id = welcome.id;
    this.#home = welcome.room;
    const report = this.#progress.begin(welcome, isRenewed);
    this.#outbox.restart();
    if (!isRenewed) this.#become("open", {});
    report();
  }

  #take(frame: ReceivedFrame, size: number): void {
    if (frame.type === "message") this.#progress.receive(frame, size);
    else if (frame.type === "reply") this.#outbox.settle(frame);
    else if (frame.type === "error") this.#report(new RequestError(frame.error));
    else if (frame.type === "lagged") this.#progress.lag(frame);
    else if (frame.type === "presence" && frame.room === this.#home && this.#roster.take(frame)) {
      this.#listeners.tell("presence", this.presence);
    }
  }

  #become(state: ClientState, detail: StateDetail): void {
    this.#trace.line(`${state} ${JSON.stringify(detail)}`);
    if (state === "closed") {
      this.#unwatchPage();
      this.#outbox.close();
      this.#inbox.close(() => {
        this.#hasEnded = true;
        this.#listeners.tell("end");
      });
    }
    this.#listeners.tell("state", state, detail);
  }
}
