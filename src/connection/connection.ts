import { type CloseInfo, ConnectionError } from "../errors.js";
import type { Metrics } from "../metrics.js";
import { ABNORMAL, CloseCode, checkedReason } from "../wire/closeCodes.js";
import type { OutgoingEvent } from "../wire/events/protocol.js";
import type { Message } from "../wire/message.js";
import { type Bytes, Payload } from "../wire/payload.js";
import type { Position } from "../wire/position.js";
import type { Schema } from "../wire/schema.js";
import { messageFrame, v1 } from "../wire/v1.js";
import type { Clock, Timer } from "./clock.js";
import { deflatedFrame } from "./deflate.js";
import type { Heartbeat, Heartbeats } from "./heartbeat.js";
import { Inbox } from "./inbox.js";
import type { Lifetime } from "./lifetime.js";
import type { ConnectionLimits } from "./limits.js";
import { LossTracker } from "./lossTracker.js";
import { type Flusher, Outbox } from "./outbox.js";
import { type DeliveryOptions, type DeliveryPolicy, policyOf } from "./policy.js";
import type { ConnectionRequest } from "./request.js";
import type { Transport } from "./transport.js";

/** What the connections of one route have in common. */
export interface ConnectionConfig {
  readonly limits: ConnectionLimits;
  readonly clock: Clock;
  readonly flusher: Flusher;
  readonly metrics: Metrics;
  /** `undefined` when the heartbeat is off. */
  readonly heartbeats: Heartbeats | undefined;
}

export interface ConnectionDeps {
  readonly id: string;
  readonly request: ConnectionRequest;
  /** What `authorize` returned. */
  readonly user: unknown;
  readonly lifetime: Lifetime;
  readonly transport: Transport;
}

/** What a subprotocol adds to a connection, between its messages and its handler. */
export interface Dialect {
  /** The message that is for the handler; `undefined` when it was not. */
  receive(message: Message): Message | undefined;
  /** Whether what the handler is busy with is to be answered, under an id that the handler need not know. */
  readonly awaitsReply: boolean;
  /** Answers what the handler is busy with; `false` where that is for the handler itself to do. */
  reply(outgoing: OutgoingEvent): boolean;
}

/** One client: what it sends, what it is sent, and how it ends. */
export class Connection implements AsyncIterable<Message> {
  /** Unique, and not to be guessed. */
  readonly id: string;
  readonly request: ConnectionRequest;
  /** @internal Whether messages go out in frames of `enfilade.v1`. */
  readonly enveloped: boolean;
  /** @internal What a client of `enfilade.v1` calls itself, on whatever connection. */
  readonly client: string | undefined;
  #user: unknown;
  readonly #lifetime: Lifetime;
  readonly #transport: Transport;
  readonly #config: ConnectionConfig;
  readonly #outbox: Outbox;
  readonly #inbox: Inbox;
  readonly #heartbeat: Heartbeat | undefined;
  #ending: CloseInfo | undefined;
  #ended: Promise<CloseInfo> | undefined;
  #resolveEnded: ((ending: CloseInfo) => void) | undefined;
  #drained: (() => void) | undefined;
  #dialect: Dialect | undefined;
  /** What was sent before the welcome, which comes first. */
  #early: Sent[] | undefined;
  /** For a client that is told of what it lost. */
  readonly #losses: LossTracker | undefined;
  #closing = false;
  #gone = false;
  #abandoned = false;
  #abandonment: Promise<void> | undefined;
  #resolveAbandonment: (() => void) | undefined;
  #onLateError: ((error: unknown) => void) | undefined;
  #patienceTimer: Timer | undefined;
  #closeTimer: Timer | undefined;

  constructor({ id, request, user, lifetime, transport }: ConnectionDeps, config: ConnectionConfig) {
    const { inboxMessagesMax, messageBytesMax } = config.limits;
    this.id = id;
    this.request = request;
    this.#user = user;
    this.enveloped = transport.protocol === v1;
    this.client = this.enveloped ? clientOf(request.query.get("client")) : undefined;
    this.#early = this.enveloped ? [] : undefined;
    this.#losses = this.enveloped ? new LossTracker() : undefined;
    this.#lifetime = lifetime;
    this.#transport = transport;
    this.#config = config;
    this.#inbox = new Inbox(this, inboxMessagesMax, inboxMessagesMax * messageBytesMax);
    this.#outbox = new Outbox(this, transport, config);
    this.#heartbeat = config.heartbeats?.watch(this);
    transport.listen(this);
  }

  /** What `authorize` returned, last when a client renewed its credentials; `undefined` for an anonymous client. */
  get user(): unknown {
    return this.#user;
  }

  /** Resolves when the socket is gone. Never rejects. */
  get ended(): Promise<CloseInfo> {
    // Made when it is first asked for: of most connections it never is, as long as they are open.
    this.#ended ??= new Promise((resolve) => {
      if (this.#gone && this.#ending !== undefined) resolve(this.#ending);
      else this.#resolveEnded = resolve;
    });
    return this.#ended;
  }

  /** The subprotocol agreed on, or `""`. */
  get protocol(): string {
    return this.#transport.protocol;
  }

  /** Aborted when the connection ends, from whichever side. */
  get signal(): AbortSignal {
    return this.#lifetime.signal;
  }

  /** Whether messages can still be sent. */
  get isOpen(): boolean {
    return !this.#closing && this.#transport.isOpen;
  }

  /** Bytes sent and not yet taken by the network. */
  get bufferedBytes(): number {
    return this.#outbox.bytes + this.#transport.bufferedBytes;
  }

  /**
   * Sends `value` as JSON. To a connection that has ended it is a message to nobody, not an error.
   *
   * @throws EnfiladeError `ERR_VALUE` when JSON has no form for it.
   */
  sendJSON(value: unknown, options?: DeliveryOptions): void {
    this.send(Payload.json(value), policyOf(options));
  }

  sendText(text: string, options?: DeliveryOptions): void {
    this.send(Payload.text(text), policyOf(options));
  }

  /** Sends bytes; they are copied, so the caller may go on using the buffer. */
  sendBinary(bytes: Bytes, options?: DeliveryOptions): void {
    this.send(Payload.binary(bytes), policyOf(options));
  }

  /**
   * Sends what was encoded before, so that many connections share one encoding.
   *
   * @param position Its number, by which the client finds out when it was dropped.
   */
  send(payload: Payload, policy?: DeliveryPolicy, position?: Position): void {
    if (this.#closing) return;
    if (this.#early !== undefined) {
      this.#wait(this.#early, { payload, policy, position });
      return;
    }
    this.#config.metrics.totals.delivered += 1;
    const sent = this.enveloped && payload.kind !== "frame" ? enveloped(payload) : payload;
    const frame = this.#transport.deflates ? deflatedFrame(sent) : sent.frame;
    if (policy !== undefined && this.#outbox.offer(frame, policy)) {
      this.#config.metrics.totals.dropped += 1;
      this.#losses?.dropped(position, policy);
    } else {
      if (policy === undefined) this.#outbox.push(frame);
      this.#losses?.sent(position);
    }
  }

  /**
   * @internal Sends what comes first, and then what was sent before it.
   *
   * @param offset The number that the client has.
   */
  welcome(payload: Payload, offset = 0): void {
    const early = this.#early ?? [];
    this.#early = undefined;
    this.#losses?.begin(offset);
    this.send(payload);
    for (const { payload: waiting, policy, position } of early) this.send(waiting, policy, position);
  }

  /** @internal Counts messages that the client will not get, and tells it of them when it can. */
  recordLoss(count: number): void {
    this.#losses?.recordLoss(count);
    this.#tellLost();
  }

  /** Resolves when all that was sent before has left this process, or cannot any more. */
  flushed(): Promise<void> {
    return this.#outbox.flushed();
  }

  /**
   * The next message.
   *
   * @throws ConnectionError (as a rejection) when the connection has ended; `clean` tells whether in agreement.
   * @throws EnfiladeError `ERR_READING` (as a rejection) when the library, or another read, waits for messages.
   */
  read(): Promise<Message> {
    return handled(this.#read());
  }

  /** The next message, which must be text: a binary one rejects this read with a `MessageError` and is used up. */
  readText(): Promise<string> {
    return handled(this.#read().then((message) => message.text));
  }

  /** The next message parsed, and checked if there is a schema; what fails rejects this read and is used up. */
  readJSON(): Promise<unknown>;
  readJSON<Output>(schema: Schema<Output>): Promise<Output>;
  readJSON<Output>(schema?: Schema<Output>): Promise<unknown> {
    return handled(this.#read().then((message) => (schema === undefined ? message.json() : message.json(schema))));
  }

  /** Messages until the connection ends: after a clean close the loop is over, after any other it throws `ConnectionError`. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Message, void, undefined> {
    for (;;) {
      const message = await this.#take();
      if (message !== undefined) {
        yield message;
      } else {
        const error = this.#error();
        if (error.clean) return;
        throw error;
      }
    }
  }

  /**
   * Closes the connection: what was sent before still goes out, what has come and is not read yet is let go.
   *
   * Does nothing when the connection is closing already.
   *
   * @param code 1000 or from 3000 to 4999. Default: 1000.
   * @param reason Cut to 123 bytes of UTF-8 on a character boundary.
   * @throws EnfiladeError `ERR_CLOSE_CODE` for another code, or a reason that is no string.
   */
  close(code: number = CloseCode.normal, reason = ""): void {
    this.end(code, checkedReason(code, reason));
  }

  /**
   * Closes when the handler is through with what has come so far; nothing that comes later is read.
   *
   * Takes and throws what {@link close} does. A handler that is never through keeps the connection open.
   */
  requestClose(code: number = CloseCode.normal, reason = ""): void {
    if (this.#closing) return;
    this.#ending ??= { code, reason: checkedReason(code, reason), clean: true, by: "server" };
    this.#inbox.end();
  }

  /** @internal */
  renewUser(user: unknown): void {
    this.#user = user;
  }

  /** @internal Those of its route. */
  get limits(): ConnectionLimits {
    return this.#config.limits;
  }

  /** @internal From now on messages go through `dialect`. */
  speak(dialect: Dialect): void {
    this.#dialect = dialect;
  }

  /** @internal */
  get awaitsReply(): boolean {
    return this.#dialect?.awaitsReply ?? false;
  }

  /** @internal Whether a dialect has answered, so that the handler need not. */
  replied(outgoing: OutgoingEvent): boolean {
    return this.#dialect?.reply(outgoing) ?? false;
  }

  /** @internal Calls `drained` whenever a client that lagged has caught up. */
  whenDrained(drained: () => void): void {
    this.#drained = drained;
  }

  /** @internal Calls `read` with each message, one at a time; resolves when there will be no more. */
  each(read: (message: Message) => unknown): Promise<void> {
    return this.#inbox.each(read);
  }

  /** @internal Closes as was requested, or else with 1000: the handler is through. */
  finish(): void {
    const { code, reason } = this.#ending ?? { code: CloseCode.normal, reason: "" };
    this.end(code, reason);
  }

  /** @internal Closes with any code; `clean: false` when it is for a failure. */
  end(code: number, reason: string, clean = true): void {
    if (this.#closing || this.#lifetime.isOver) return;
    this.#ending = { code, reason, clean, by: "server" };
    this.#inbox.discard();
    this.#close(code, reason);
  }

  /** @internal How the connection ended, as far as is known; `undefined` while it goes on. */
  get ending(): CloseInfo | undefined {
    return this.#ending;
  }

  /** @internal The handler is over: nothing more is read for it. What it throws all the same goes to `late`. */
  detachHandler(late?: (error: unknown) => void): void {
    this.#onLateError = late ?? this.#onLateError;
    if (this.#abandoned) return;
    this.#abandoned = true;
    this.#patienceTimer?.cancel();
    this.#inbox.abandon();
    this.#resolveAbandonment?.();
  }

  /** @internal Resolves when the handler is not waited for any more. */
  get untilDetached(): Promise<void> {
    this.#abandonment ??= new Promise((resolve) => {
      if (this.#abandoned) resolve();
      else this.#resolveAbandonment = resolve;
    });
    return this.#abandonment;
  }

  /** @internal Reports what a handler threw, if nobody waits for it any more. */
  onLateError(error: unknown): void {
    if (this.#abandoned) this.#onLateError?.(error);
  }

  /** @internal */
  get isDetached(): boolean {
    return this.#abandoned;
  }

  /** @internal */
  onMessage(message: Message): void {
    this.#config.metrics.totals.received += 1;
    this.#heartbeat?.heard();
    if (this.#dialect === undefined) {
      this.#inbox.push(message);
    } else if (!this.#closing) {
      const forHandler = this.#dialect.receive(message);
      if (forHandler !== undefined) this.#inbox.push(forHandler);
    }
  }

  /** @internal */
  onHeard(): void {
    this.#heartbeat?.heard();
  }

  /** @internal */
  onClosing(): void {
    this.#outbox.flush();
  }

  /** @internal The transport has closed already. */
  onFailed(code: number, reason: string): void {
    this.#fail({ code, reason, clean: false, by: "server" });
  }

  /** @internal The end of every connection, however it came to it. */
  onGone(code: number, reason: string): void {
    if (this.#heartbeat !== undefined) this.#config.heartbeats?.unwatch(this.#heartbeat);
    this.#closeTimer?.cancel();
    this.#closing = true;
    this.#gone = true;
    this.#outbox.drop();
    const ending = this.#endingBy(code, reason);
    this.#ending = ending;
    this.#inbox.end();
    this.#lifetime.end();
    this.#resolveEnded?.(ending);
    // A handler that is still busy has closeMs to finish: it must not keep its rooms for ever.
    const { clock, limits } = this.#config;
    if (!this.#abandoned) this.#patienceTimer = clock.setTimeout(() => this.detachHandler(), limits.closeMs);
  }

  /** @internal */
  onHold(held: boolean): void {
    this.#heartbeat?.hold(held);
    if (held) this.#transport.pause();
    else this.#transport.resume();
  }

  /** @internal A chunk of compressed messages held more than may wait, however fast the socket was paused. */
  onFlooded(): void {
    const reason = "too many messages at once";
    this.#fail({ code: CloseCode.policyViolation, reason, clean: false, by: "server" });
    this.#transport.close(CloseCode.policyViolation, reason);
  }

  /** @internal */
  onOverflow(): void {
    if (this.#closing) return;
    this.#config.metrics.totals.slow += 1;
    this.#fail({ code: CloseCode.slow, reason: "slow", clean: false, by: "server" });
    this.#transport.close(CloseCode.slow, "slow");
  }

  /** @internal */
  onDrained(): void {
    this.#tellLost();
    this.#drained?.();
  }

  /** @internal */
  get receivedBytes(): number {
    return this.#transport.receivedBytes;
  }

  /** @internal */
  ping(): void {
    this.#transport.ping();
  }

  /** @internal */
  onLost(): void {
    this.#fail({ code: ABNORMAL, reason: "", clean: false, by: "network" });
    this.#transport.destroy();
  }

  async #read(): Promise<Message> {
    const message = await this.#take();
    if (message === undefined) throw this.#error();
    return message;
  }

  /** Whoever reads for himself is through with a message when he has it. */
  async #take(): Promise<Message | undefined> {
    for (;;) {
      const message = await this.#inbox.take();
      const receipt = message?.origin?.receipt;
      if (receipt === undefined) return message;
      if (!receipt.begin()) continue;
      receipt.settle();
      return message;
    }
  }

  #tellLost(): void {
    for (const frame of this.#losses?.settle() ?? []) this.send(frame);
  }

  #wait(early: Sent[], sent: Sent): void {
    early.push(sent);
    if (early.length > earlyMax) this.onOverflow();
  }

  /** Sends the close frame behind all that was sent before, and sees to it that the connection does end. */
  #close(code: number, reason: string): void {
    this.#closing = true;
    this.#closeTimer = this.#terminateLater();
    this.#outbox.finish(() => this.#transport.close(code, reason));
    this.#lifetime.end();
  }

  #terminateLater(): Timer {
    const { clock, limits } = this.#config;
    return clock.setTimeout(() => this.#transport.destroy(), limits.closeMs);
  }

  /** What came before the failure is still read. */
  #fail(ending: CloseInfo): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#ending = ending;
    this.#closeTimer = this.#terminateLater();
    this.#outbox.drop();
    this.#inbox.end();
    this.#lifetime.end();
  }

  #endingBy(code: number, reason: string): CloseInfo {
    const abnormal = code === ABNORMAL;
    if (this.#ending !== undefined) return abnormal ? { ...this.#ending, clean: false } : this.#ending;
    return { code, reason, clean: !abnormal, by: abnormal ? "network" : "client" };
  }

  #error(): ConnectionError {
    // The inbox ends only after the ending was set; until then nobody is told that there is no message.
    return new ConnectionError(this.#ending ?? { code: ABNORMAL, reason: "", clean: false, by: "network" });
  }
}

/**
 * The same promise, whose rejection ends no process when nobody awaits it yet.
 *
 * A read may be begun before other work and awaited after it; that the client leaves meanwhile must not count as a fault
 * that nobody handled.
 */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}

/** What was sent, and how. */
interface Sent {
  readonly payload: Payload;
  readonly policy: DeliveryPolicy | undefined;
  readonly position: Position | undefined;
}

/** What may wait for the welcome of a connection, which waits for the history of its room. */
const earlyMax = 1_000;

function clientOf(client: string | null): string | undefined {
  return client !== null && /^[\w-]{16,64}$/.test(client) ? client : undefined;
}

/** A message to one connection, in its frame; made once for all that it is sent to. */
function enveloped(payload: Payload): Payload {
  payload.enveloped ??= messageFrame(payload);
  return payload.enveloped;
}
