import { channels, type PeerObserver } from "../diagnostics.js";
import { type CloseInfo, ConnectionError } from "../errors.js";
import type { Metrics } from "../metrics.js";
import { ABNORMAL, CloseCode } from "../wire/closeCodes.js";
import type { Message } from "../wire/message.js";
import type { RoomPath } from "../wire/path.js";
import type { Payload } from "../wire/payload.js";
import type { Position } from "../wire/position.js";
import type { Clock, Timer } from "./clock.js";
import type { Codec } from "./codec.js";
import { EarlyMessages } from "./earlyMessages.js";
import type { Heartbeat, HeartbeatOwner, Heartbeats } from "./heartbeat.js";
import { Inbox, type InboxOwner } from "./inbox.js";
import { type ConnectionEffect, type ConnectionEvent, type ConnectionState, transitionOf } from "./lifecycle.js";
import type { Lifetime } from "./lifetime.js";
import type { PeerLimits } from "./limits.js";
import { type Flusher, Outbox, type OutboxOwner } from "./outbox.js";
import type { DeliveryPolicy } from "./policy.js";
import type { ConnectionRequest } from "./request.js";
import type { Transport, TransportEvents } from "./transport.js";

/** What the connections of one route have in common. */
export interface PeerConfig {
  readonly limits: PeerLimits;
  readonly clock: Clock;
  readonly flusher: Flusher;
  readonly metrics: Metrics;
  readonly observer: PeerObserver<Peer, Message, Payload>;
  /** `undefined` when the heartbeat is off. */
  readonly heartbeats: Heartbeats | undefined;
}

export interface PeerDeps<C extends Codec> {
  readonly id: string;
  readonly request: ConnectionRequest;
  /** What `authorize` returned. */
  readonly user: unknown;
  readonly lifetime: Lifetime;
  readonly transport: Transport;
  readonly dialect: C;
}

/** One client as the library has it: its transport, its inbox and outbox, and its life. Users have it as a `Connection`. */
export class Peer<C extends Codec = Codec> implements InboxOwner, OutboxOwner, HeartbeatOwner, TransportEvents {
  static readonly #effects: Readonly<Record<ConnectionEffect, (peer: Peer, info: CloseInfo) => void>> = {
    stopHeartbeat: (peer) => peer.#heartbeat && peer.#config.heartbeats?.unwatch(peer.#heartbeat),
    startCloseTimer: (peer) => {
      peer.#closeTimer = peer.#afterCloseMs(() => peer.#transport.destroy());
    },
    stopCloseTimer: (peer) => peer.#closeTimer?.cancel(),
    dropOutbox: (peer) => peer.#outbox.drop(),
    finishOutbox: (peer, { code, reason }) => peer.#outbox.finish(() => peer.#transport.close(code, reason)),
    discardInbox: (peer) => peer.#inbox.discard(),
    endInbox: (peer) => peer.#inbox.end(),
    abortSignal: (peer) => peer.#lifetime.end(),
    resolveEnded: (peer, info) => peer.#resolveEnded?.(info),
    // A handler that is still busy has closeMs to finish: it must not keep its rooms for ever.
    startDetachTimer: (peer) => {
      if (!peer.#isDetached) peer.#detachTimer = peer.#afterCloseMs(() => peer.detachHandler());
    },
  };

  readonly id: string;
  readonly request: ConnectionRequest;
  /** The room of the request's path. */
  readonly home: RoomPath;
  readonly dialect: C;
  /** What `authorize` returned, last when a client renewed its credentials. */
  user: unknown;
  readonly #lifetime: Lifetime;
  readonly #transport: Transport;
  readonly #config: PeerConfig;
  readonly #outbox: Outbox;
  readonly #inbox: Inbox;
  readonly #heartbeat: Heartbeat | undefined;
  #state: ConnectionState = "open";
  #closeInfo: CloseInfo | undefined;
  #ended: Promise<CloseInfo> | undefined;
  #resolveEnded: ((info: CloseInfo) => void) | undefined;
  /** What was sent before the message that has to come first; `undefined` when nothing has to. */
  #early: EarlyMessages | undefined;
  #onDrain: (() => void) | undefined;
  #closeTimer: Timer | undefined;
  #isDetached = false;
  #detached: Promise<void> | undefined;
  #resolveDetached: (() => void) | undefined;
  #detachTimer: Timer | undefined;
  #onLateError: ((error: unknown) => void) | undefined;

  constructor({ id, request, user, lifetime, transport, dialect }: PeerDeps<C>, config: PeerConfig) {
    const { inboxMessagesMax, messageBytesMax } = config.limits;
    this.id = id;
    this.request = request;
    this.home = request.path;
    this.user = user;
    this.dialect = dialect;
    this.#lifetime = lifetime;
    this.#transport = transport;
    this.#config = config;
    this.#inbox = new Inbox(this, inboxMessagesMax, inboxMessagesMax * messageBytesMax);
    this.#outbox = new Outbox(this, transport, config);
    this.#heartbeat = config.heartbeats?.watch(this);
    transport.listen(this);
  }

  get limits(): PeerLimits {
    return this.#config.limits;
  }

  get protocol(): string {
    return this.#transport.protocol;
  }

  get signal(): AbortSignal {
    return this.#lifetime.signal;
  }

  get isOpen(): boolean {
    return (this.#state === "open" || this.#state === "draining") && this.#transport.isOpen;
  }

  get bufferedBytes(): number {
    return this.#outbox.bytes + this.#transport.bufferedBytes;
  }

  /** How the connection ended, as far as is known; `undefined` while it goes on. */
  get closeInfo(): CloseInfo | undefined {
    return this.#closeInfo;
  }

  /** What a read rejects with when there will be no more messages. */
  get error(): ConnectionError {
    // The inbox ends only after this was set; until then no read learns that there is no message.
    return new ConnectionError(this.#closeInfo ?? { code: ABNORMAL, reason: "", isClean: false, by: "network" });
  }

  /** Resolves when the socket is gone. Never rejects. */
  get ended(): Promise<CloseInfo> {
    // Made when it is first asked for: of most connections it never is, as long as they are open.
    this.#ended ??= new Promise((resolve) => {
      if (this.#state === "closed" && this.#closeInfo !== undefined) resolve(this.#closeInfo);
      else this.#resolveEnded = resolve;
    });
    return this.#ended;
  }

  /** Sends a message to this client alone. */
  send(payload: Payload, policy?: DeliveryPolicy): void {
    const bytes = this.dialect.encodePayload(payload);
    if (channels.messageOut.hasSubscribers) this.reportOut(payload, bytes);
    this.push(bytes, policy);
  }

  /** Reports a message that is about to be pushed; to be called only where the channel has subscribers. */
  reportOut(payload: Payload, bytes: Uint8Array, room?: string): void {
    if (this.isOpen) this.#config.observer.onMessageOut(this, payload, bytes.length, room);
  }

  /** Sends bytes that a dialect made, shared by all who get the same. `position`: of a kept publication of the home. */
  push(bytes: Uint8Array, policy: DeliveryPolicy | undefined, position?: Position): void {
    if (this.#state !== "open" && this.#state !== "draining") return;
    if (this.#early !== undefined) {
      if (!this.#early.add({ bytes, policy, position })) this.onOverflow();
      return;
    }
    const { totals } = this.#config.metrics;
    totals.delivered += 1;
    const { dialect } = this;
    if (policy !== undefined && this.#outbox.offer(bytes, policy)) {
      totals.dropped += 1;
      if (dialect.reportsLosses) dialect.onDropped(position, policy);
    } else {
      if (policy === undefined) this.#outbox.push(bytes);
      if (dialect.reportsLosses) dialect.onSent(position);
    }
  }

  /** Holds back what is sent until {@link release}. */
  holdBack(): void {
    this.#early = new EarlyMessages(this.#config.limits.earlyMessagesMax);
  }

  /** Sends the message that has to come first, and what was held back behind it. */
  release(first: Uint8Array): void {
    const early = this.#early;
    this.#early = undefined;
    this.push(first, undefined);
    for (const { bytes, policy, position } of early?.all ?? []) this.push(bytes, policy, position);
  }

  /** Sends what the dialect has to say about losses. */
  reportLosses(): void {
    if (!this.dialect.reportsLosses) return;
    for (const bytes of this.dialect.reportLosses()) this.push(bytes, undefined);
  }

  /** Resolves when all that was sent before has left this process, or never can. */
  flushed(): Promise<void> {
    return this.#outbox.flushed();
  }

  /** The next message; `undefined` when no more will come. A message that may come twice is done with when it was read. */
  async take(): Promise<Message | undefined> {
    let message = await this.#inbox.take();
    while (message?.origin?.receipt?.begin() === false) message = await this.#inbox.take();
    message?.origin?.receipt?.settle();
    return message;
  }

  /** Calls `read` with each message, one at a time; resolves when there will be no more. */
  each<Subject>(read: (subject: Subject, message: Message) => unknown, subject: Subject): Promise<void> {
    return this.#inbox.each(read, subject);
  }

  /** Calls `onDrain` whenever a client that lagged has caught up. */
  whenDrained(onDrain: () => void): void {
    this.#onDrain = onDrain;
  }

  /** Closes when the handler has finished with what has come so far. */
  requestClose(code: number, reason: string): void {
    this.#move("requestClose", { code, reason, isClean: true, by: "server" });
  }

  /** Closes with any code; `isClean: false` when it is for a failure. */
  close(code: number, reason: string, isClean = true): void {
    // The socket may be gone before the transport has said so.
    if (!this.#lifetime.isOver) this.#move("close", { code, reason, isClean, by: "server" });
  }

  /** Closes as was requested, or else with 1000: the handler has finished. */
  finish(): void {
    const { code, reason } = this.#closeInfo ?? { code: CloseCode.normal, reason: "" };
    this.close(code, reason);
  }

  /** The handler has ended: nothing more is read for it. What it throws later goes to `onLateError`. */
  detachHandler(onLateError?: (error: unknown) => void): void {
    this.#onLateError = onLateError ?? this.#onLateError;
    if (this.#isDetached) return;
    this.#isDetached = true;
    this.#detachTimer?.cancel();
    this.#inbox.abandon();
    this.#resolveDetached?.();
  }

  get isDetached(): boolean {
    return this.#isDetached;
  }

  /** Resolves when the handler is not waited for any more. */
  get untilDetached(): Promise<void> {
    this.#detached ??= new Promise((resolve) => {
      if (this.#isDetached) resolve();
      else this.#resolveDetached = resolve;
    });
    return this.#detached;
  }

  /** Takes what a handler threw; it is reported if the handler is not waited for any more. */
  onLateError(error: unknown): void {
    if (this.#isDetached) this.#onLateError?.(error);
  }

  onMessage(message: Message): void {
    this.#config.metrics.totals.received += 1;
    this.#heartbeat?.heard();
    if (this.#state === "closing" || this.#state === "closed") return;
    const forHandler = this.dialect.receive(message);
    if (forHandler === undefined) return;
    if (channels.messageIn.hasSubscribers) this.#config.observer.onMessageIn(this, forHandler);
    this.#inbox.push(forHandler);
  }

  onHeard(): void {
    this.#heartbeat?.heard();
  }

  onClosing(): void {
    this.#outbox.flush();
  }

  /** The transport has closed already. */
  onFailed(code: number, reason: string): void {
    this.#move("fail", { code, reason, isClean: false, by: "server" });
  }

  /** The end of every connection, however it came to it. */
  onGone(code: number, reason: string): void {
    const isAbnormal = code === ABNORMAL;
    const known = this.#closeInfo;
    if (known !== undefined) this.#move("gone", isAbnormal ? { ...known, isClean: false } : known);
    else this.#move("gone", { code, reason, isClean: !isAbnormal, by: isAbnormal ? "network" : "client" });
  }

  onHold(held: boolean): void {
    this.#heartbeat?.hold(held);
    if (held) this.#transport.pause();
    else this.#transport.resume();
  }

  /** A chunk of compressed messages held more than may wait, however fast the socket was paused. */
  onFlooded(): void {
    this.#failWith(CloseCode.policyViolation, "too many messages at once");
  }

  /** More waits for this client than may, or for longer: it reads too slowly. */
  onOverflow(): void {
    if (this.#failWith(CloseCode.slow, "slow")) this.#config.metrics.totals.slow += 1;
  }

  onDrained(): void {
    this.reportLosses();
    this.#onDrain?.();
  }

  get receivedBytes(): number {
    return this.#transport.receivedBytes;
  }

  ping(): void {
    this.#transport.ping();
  }

  onLost(): void {
    this.#move("fail", { code: ABNORMAL, reason: "", isClean: false, by: "network" });
    this.#transport.destroy();
  }

  #failWith(code: number, reason: string): boolean {
    if (!this.#move("fail", { code, reason, isClean: false, by: "server" })) return false;
    this.#transport.close(code, reason);
    return true;
  }

  #afterCloseMs(callback: () => void): Timer {
    return this.#config.clock.setTimeout(callback, this.#config.limits.closeMs);
  }

  /** The one place where the state changes; returns whether it did. */
  #move(event: ConnectionEvent, info: CloseInfo): boolean {
    const transition = transitionOf(this.#state, event);
    if (transition === undefined) return false;
    this.#state = transition.to;
    this.#closeInfo = info;
    for (const effect of transition.effects) Peer.#effects[effect](this, info);
    return true;
  }
}
