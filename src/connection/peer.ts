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
import { HandlerLink, type Lifetime } from "./lifetime.js";
import type { PeerLimits } from "./limits.js";
import { type Flusher, type HomeReader, Outbox, type OutboxOwner } from "./outbox.js";
import type { DeliveryPolicy } from "./policy.js";
import type { ConnectionRequest } from "./request.js";
import type { Transport, TransportEvents } from "./transport.js";

/** The configuration of all connections of one route. */
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
  /** The user that `authorize` returned. */
  readonly user: unknown;
  readonly lifetime: Lifetime;
  readonly transport: Transport;
  readonly dialect: C;
}

/** The internal side of a connection: its transport, inbox, outbox and lifecycle. Users have it as a `Connection`. */
export class Peer<C extends Codec = Codec>
  extends HandlerLink
  implements InboxOwner, OutboxOwner, HeartbeatOwner, TransportEvents
{
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
    // A busy handler has closeMs to finish: it must not stay in its rooms for ever.
    startDetachTimer: (peer) => {
      if (!peer.isDetached) peer.#detachTimer = peer.#afterCloseMs(() => peer.detachHandler());
    },
  };

  readonly id: string;
  readonly request: ConnectionRequest;
  /** The path of the connection's first room, the path of the request. */
  readonly home: RoomPath;
  readonly dialect: C;
  /** The user that `authorize` returned last. */
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
  /** Messages that wait until {@link release}; `undefined` when messages are not held back. */
  #early: EarlyMessages | undefined;
  #onDrain: (() => void) | undefined;
  #homeReader: HomeReader<Peer<C>> | undefined;
  #closeTimer: Timer | undefined;
  #detachTimer: Timer | undefined;

  constructor({ id, request, user, lifetime, transport, dialect }: PeerDeps<C>, config: PeerConfig) {
    super();
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

  /** How the connection ends or ended, as far as is known; `undefined` while it is open. */
  get closeInfo(): CloseInfo | undefined {
    return this.#closeInfo;
  }

  /** The error of reads after the end. */
  get error(): ConnectionError {
    // Reads end after #closeInfo was set; the default is for the type only.
    return new ConnectionError(this.#closeInfo ?? { code: ABNORMAL, reason: "", isClean: false, by: "network" });
  }

  /** Resolves when the connection has ended. Never rejects. */
  get ended(): Promise<CloseInfo> {
    // Made on first use, to save memory: most open connections need none.
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

  /** Publishes a message that is about to be pushed. Call this only while the channel has subscribers. */
  reportOut(payload: Payload, bytes: Uint8Array, room?: string): void {
    if (this.isOpen) this.#config.observer.onMessageOut(this, payload, bytes.length, room);
  }

  /** Sends encoded bytes. A kept publication to the home has a `position`. Returns `false` if it is read later. */
  push(bytes: Uint8Array, policy: DeliveryPolicy | undefined, position?: Position): boolean {
    if (this.#state !== "open" && this.#state !== "draining") return true;
    if (this.#early !== undefined) {
      if (!this.#early.add({ bytes, policy, position })) this.onOverflow();
      return true;
    }
    if (this.#outbox.hasBacklog && this.#isLeftToReader(bytes, policy, position)) return false;
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
    return true;
  }

  /** From now on, `reader` continues when publications to the home crowd the outbox. */
  readHomeBy(reader: HomeReader<Peer<C>> | undefined): void {
    this.#homeReader = reader;
  }

  /** From now on, messages wait until {@link release}. */
  holdBack(): void {
    this.#early = new EarlyMessages(this.#config.limits.earlyMessagesMax);
  }

  /** Sends `first`, and then the messages that were held back. */
  release(first: Uint8Array): void {
    const early = this.#early;
    this.#early = undefined;
    this.push(first, undefined);
    for (const { bytes, policy, position } of early?.all ?? []) this.push(bytes, policy, position);
  }

  /** Notifies the client of messages that were dropped for it. */
  reportLosses(): void {
    if (!this.dialect.reportsLosses) return;
    for (const bytes of this.dialect.reportLosses()) this.push(bytes, undefined);
  }

  /** Resolves when all messages sent before have left this process, or can no longer be sent. */
  flushed(): Promise<void> {
    return this.#outbox.flushed();
  }

  /** Takes the next message; `undefined` when no more will arrive. A message with a receipt then counts as handled. */
  take(): Promise<Message | undefined> {
    return this.#inbox.takeUnread();
  }

  /** Calls `read` with each message, one at a time. Resolves when no more will arrive. */
  each<Subject>(read: (subject: Subject, message: Message) => unknown, subject: Subject): Promise<void> {
    return this.#inbox.each(read, subject);
  }

  /** Calls `onDrain` whenever the client lagged and has caught up. */
  whenDrained(onDrain: () => void): void {
    this.#onDrain = onDrain;
  }

  /** Closes the connection when the handler has finished with all messages received so far. */
  requestClose(code: number, reason: string): void {
    this.#move("requestClose", { code, reason, isClean: true, by: "server" });
  }

  /** Closes with any code; `isClean` is `false` for a failure. */
  close(code: number, reason: string, isClean = true): void {
    // The lifetime may end before the transport reports its end to this peer.
    if (!this.#lifetime.isOver) this.#move("close", { code, reason, isClean, by: "server" });
  }

  /** The handler has finished: closes with the code of {@link requestClose}, or else with 1000. */
  finish(): void {
    const { code, reason } = this.#closeInfo ?? { code: CloseCode.normal, reason: "" };
    this.close(code, reason);
  }

  protected onHandlerDetached(): void {
    this.#detachTimer?.cancel();
    this.#inbox.abandon();
  }

  onMessage(message: Message): void {
    this.#config.metrics.totals.received += 1;
    this.#heartbeat?.onTraffic();
    if (this.#state === "closing" || this.#state === "closed") return;
    const forHandler = this.dialect.receive(message);
    if (forHandler === undefined) return;
    if (channels.messageIn.hasSubscribers) this.#config.observer.onMessageIn(this, forHandler);
    this.#inbox.push(forHandler);
  }

  onHeard(): void {
    this.#heartbeat?.onTraffic();
  }

  onClosing(): void {
    this.#outbox.flush();
  }

  /** The transport has closed already. */
  onFailed(code: number, reason: string): void {
    this.#move("fail", { code, reason, isClean: false, by: "server" });
  }

  /** Every connection ends here. */
  onGone(code: number, reason: string): void {
    const isAbnormal = code === ABNORMAL;
    const known = this.#closeInfo;
    if (known !== undefined) this.#move("gone", isAbnormal ? { ...known, isClean: false } : known);
    else this.#move("gone", { code, reason, isClean: !isAbnormal, by: isAbnormal ? "network" : "client" });
  }

  onHold(isPaused: boolean): void {
    this.#heartbeat?.setPaused(isPaused);
    if (isPaused) this.#transport.pause();
    else this.#transport.resume();
  }

  /** A chunk of compressed messages had more bytes than may wait; pausing the socket was too late. */
  onFlooded(): void {
    this.#failWith(CloseCode.policyViolation, "too many messages at once");
  }

  /** The client reads too slowly: too many bytes wait for it, or they wait too long. */
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

  /** Whether a publication to the home need not be sent, because the client reads it later. */
  #isLeftToReader(bytes: Uint8Array, policy: DeliveryPolicy | undefined, position: Position | undefined): boolean {
    if (position === undefined || !this.#outbox.isCrowdedBy(bytes.length)) return false;
    // With another policy, the message does not wait.
    if (policy !== undefined && policy.kind !== "reliable") return false;
    if (this.#homeReader?.readOn(this, position) !== true) return false;
    this.#homeReader = undefined;
    this.#config.metrics.totals.behind += 1;
    return true;
  }

  #afterCloseMs(callback: () => void): Timer {
    return this.#config.clock.setTimeout(callback, this.#config.limits.closeMs);
  }

  /** The only method that changes the state. Returns whether it did. */
  #move(event: ConnectionEvent, info: CloseInfo): boolean {
    const transition = transitionOf(this.#state, event);
    if (transition === undefined) return false;
    this.#state = transition.to;
    this.#closeInfo = info;
    for (const effect of transition.effects) Peer.#effects[effect](this, info);
    return true;
  }
}
