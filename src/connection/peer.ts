import { channels, isReported } from "../diagnostics.js";
import type { CloseInfo } from "../errors.js";
import { ABNORMAL, CloseCode } from "../wire/closeCodes.js";
import type { Message } from "../wire/message.js";
import type { RoomPath } from "../wire/path.js";
import type { Payload } from "../wire/payload.js";
import type { Position } from "../wire/position.js";
import type { Clock, Timer } from "./clock.js";
import type { Codec } from "./codec.js";
import { EarlyMessages } from "./earlyMessages.js";
import { Inbox, type InboxOwner, type InboxReader, type ReadMessage } from "./inbox.js";
import { type ConnectionEffect, type ConnectionEvent, type ConnectionState, transitionOf } from "./lifecycle.js";
import { EndingLink, type Lifetime } from "./lifetime.js";
import type { PeerLimits } from "./limits.js";
import { type Traffic, trafficOf } from "./outbox/traffic.js";
import { type HomeReader, Outbox, type OutboxOwner } from "./outbox.js";
import type { PeerConfig, PeerDeps } from "./peerConfig.js";
import { type DeliveryPolicy, newestPong } from "./policy.js";
import { type RateLimit, type RateOwner, rateLimitOf } from "./rate/rateLimit.js";
import type { ConnectionRequest } from "./request.js";
import type { Transport, TransportEvents } from "./transport.js";
import type { Watch, WatchOwner } from "./watch/watch.js";

/** The reasons to pause the socket, as bits. It is resumed when none is left. */
const Hold = { inbox: 1, rate: 2 } as const;

/** The internal side of a connection: its transport, inbox, outbox and lifecycle. Users have it as a `Connection`. */
export class Peer<C extends Codec = Codec>
  extends EndingLink
  implements InboxOwner, OutboxOwner, RateOwner, WatchOwner, TransportEvents
{
  static readonly #effects: Readonly<Record<ConnectionEffect, (peer: Peer, info: CloseInfo) => void>> = {
    stopWatch: (peer) => peer.#watch && peer.#config.watches.unwatch(peer.#watch),
    startCloseTimer: (peer) => {
      peer.#endTimer = peer.clock.setTimeout(() => peer.#transport.destroy(), peer.limits.closeMs);
    },
    stopCloseTimer: (peer) => peer.#endTimer?.cancel(),
    dropOutbox: (peer) => {
      peer.#early?.take();
      peer.#outbox.drop();
    },
    finishOutbox: (peer, { code, reason }) => peer.#outbox.finish(() => peer.#transport.close(code, reason)),
    discardInbox: (peer) => peer.#inbox.discard(),
    endInbox: (peer) => peer.#inbox.end(),
    abortSignal: (peer) => peer.#lifetime.end(),
    resolveEnded: (peer) => peer.resolveEnded(),
    // A busy handler has closeMs to finish: it must not stay in its rooms for ever.
    startDetachTimer: (peer) => {
      if (!peer.isDetached) peer.#endTimer = peer.clock.setTimeout(() => peer.detachHandler(), peer.limits.closeMs);
    },
  };

  readonly id: string;
  readonly request: ConnectionRequest;
  readonly dialect: C;
  /** The user that `authorize` returned last. */
  user: unknown;
  /** Whether a tap may match messages of this connection. Set when a tap is added or removed. */
  isTapped = false;
  readonly #lifetime: Lifetime;
  readonly #transport: Transport;
  readonly #config: PeerConfig<Peer>;
  readonly #outbox: Outbox;
  readonly #inbox: Inbox;
  readonly #rate: RateLimit | undefined;
  readonly #watch: Watch | undefined;
  #holds = 0;
  #state: ConnectionState = "open";
  /** Messages that wait until {@link release}; `undefined` when messages are not held back. */
  #early: EarlyMessages | undefined;
  #onDrain: (() => void) | undefined;
  #homeReader: HomeReader<Peer<C>> | undefined;
  /** The time that the transport has to close, and then the handler to finish. */
  #endTimer: Timer | undefined;

  constructor({ id, request, user, lifetime, transport, dialect }: PeerDeps<C>, config: PeerConfig<Peer>) {
    super();
    this.id = id;
    this.request = request;
    this.user = user;
    this.dialect = dialect;
    this.#lifetime = lifetime;
    this.#transport = transport;
    this.#config = config;
    this.#rate = rateLimitOf(this, config.clock, config.limits, transport.framing.isDeflated === true);
    this.#inbox = new Inbox(this, config.limits, { memory: config.memory.incoming, rate: this.#rate });
    this.#outbox = new Outbox(this, transport, config);
    this.#watch = transport.isWatched === true ? undefined : config.watches.watch(this);
    transport.listen(this);
  }

  /** The path of the connection's first room, the path of the request. */
  get home(): RoomPath {
    return this.request.path;
  }

  get limits(): PeerLimits {
    return this.#config.limits;
  }

  /** The clock of deadlines that are kept against the client. */
  get clock(): Clock {
    return this.#config.clock;
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

  /** The messages and bytes of this connection so far. */
  get traffic(): Traffic {
    return trafficOf(this.#inbox, this.#outbox, this.#transport);
  }

  /** Sends a message to this client alone. */
  send(payload: Payload, policy?: DeliveryPolicy): void {
    const bytes = this.dialect.encodePayload(payload);
    if (isReported(this)) this.reportOut(payload, bytes);
    this.push(bytes, policy);
  }

  /** Reports a message that is about to be pushed. Call this only if {@link isReported}. */
  reportOut(payload: Payload, bytes: Uint8Array, room?: string): void {
    if (this.isOpen) this.#config.observer.onMessageOut(this, payload, bytes.length, room);
  }

  /** Sends encoded bytes. A kept publication to the home has a `position`. Returns `false` if it is read later. */
  push(bytes: Uint8Array, policy: DeliveryPolicy | undefined, position?: Position): boolean {
    if (this.#state !== "open" && this.#state !== "draining") return true;
    if (this.#early !== undefined) {
      this.#early.add({ bytes, policy, position });
      return true;
    }
    if (this.#outbox.hasBacklog && this.#isLeftToReader(bytes, policy, position)) return false;
    this.#config.counters.totals.delivered += 1;
    if (policy !== undefined && this.#outbox.offer(bytes, policy)) {
      this.#config.counters.countDropped(policy.kind === "latest");
      if (this.dialect.reportsLosses) this.dialect.onDropped(position, policy);
    } else {
      if (policy === undefined) this.#outbox.push(bytes);
      if (this.dialect.reportsLosses) this.dialect.onSent(position);
    }
    return true;
  }

  /** From now on, `reader` continues when publications to the home crowd the outbox. */
  readHomeBy(reader: HomeReader<Peer<C>> | undefined): void {
    this.#homeReader = reader;
  }

  /** From now on, messages wait until {@link release}. */
  holdBack(): void {
    this.#early = new EarlyMessages(this, this.#config.memory.outgoing, this.limits.earlyMessagesMax);
  }

  /** Sends `first`, and then the messages that were held back. */
  release(first: Uint8Array): void {
    const early = this.#early;
    this.#early = undefined;
    this.push(first, undefined);
    for (const { bytes, policy, position } of early?.take() ?? []) this.push(bytes, policy, position);
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

  /** From now on, calls `read` with `reader` and each message, one at a time. */
  readBy<Reader extends InboxReader>(read: ReadMessage<Reader>, reader: Reader): void {
    this.#inbox.readBy(read, reader);
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
    const { code, reason } = this.closeInfo ?? { code: CloseCode.normal, reason: "" };
    this.close(code, reason);
  }

  protected onHandlerDetached(): void {
    if (this.#state === "closed") this.#endTimer?.cancel();
    this.#inbox.abandon();
    this.#rate?.stop();
  }

  onMessage(message: Message): void {
    this.#config.counters.countReceived(message.size);
    this.#watch?.onMessage();
    if (this.#state === "closing" || this.#state === "closed") return;
    const forHandler = this.dialect.receive(message);
    if (forHandler === undefined) this.#rate?.count(message.size);
    else {
      if (channels.messageIn.hasSubscribers || this.isTapped) this.#config.observer.onMessageIn(this, forHandler);
      this.#inbox.push(forHandler);
    }
  }

  onHeard(): void {
    this.#watch?.onControlFrame();
    this.#rate?.count(0);
  }

  /** A pong goes out with the messages of its tick. For a client that lags, the newest one waits. */
  onPing(pong: Uint8Array): void {
    this.#watch?.onControlFrame();
    this.#rate?.count(pong.length);
    if (this.isOpen) this.#outbox.offer(pong, newestPong);
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
    const info = this.closeInfo ?? { code, reason, isClean: true, by: isAbnormal ? "network" : "client" };
    this.#move("gone", isAbnormal ? { ...info, isClean: false } : info);
  }

  onHold(isPaused: boolean): void {
    this.#setHold(Hold.inbox, isPaused);
  }

  onRateExceeded(): void {
    this.#setHold(Hold.rate, true);
  }

  onRateKept(): void {
    this.#inbox.proceed();
    if (this.#rate?.isExceeded === false) this.#setHold(Hold.rate, false);
  }

  /** A chunk of compressed messages had more bytes than may wait; pausing the socket was too late. */
  onFlooded(): void {
    this.#failWith(CloseCode.policyViolation, "too many messages at once");
    this.#transport.ignoreInput?.();
  }

  /** The client reads too slowly: too many bytes wait for it, or they wait too long. */
  onOverflow(): void {
    if (this.#failWith(CloseCode.slow, "slow")) this.#config.counters.totals.slow += 1;
  }

  onDrained(): void {
    this.reportLosses();
    this.#onDrain?.();
  }

  get receivedBytes(): number {
    return this.#transport.receivedBytes;
  }

  get unfinishedBytes(): number | undefined {
    return this.#transport.unfinishedBytes;
  }

  ping(): void {
    this.#transport.ping();
  }

  onMessageOverdue(): void {
    this.#failWith(CloseCode.policyViolation, "message took too long");
  }

  onLost(): void {
    this.#move("fail", { code: ABNORMAL, reason: "", isClean: false, by: "network" });
    this.#transport.destroy();
  }

  #setHold(reason: number, isHeld: boolean): void {
    const before = this.#holds;
    this.#holds = isHeld ? before | reason : before & ~reason;
    if ((before === 0) === (this.#holds === 0)) return;
    this.#watch?.setPaused(isHeld);
    if (isHeld) this.#transport.pause();
    else this.#transport.resume();
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
    this.#config.counters.totals.behind += 1;
    return true;
  }

  /** The only method that changes the state. Returns whether it did. */
  #move(event: ConnectionEvent, info: CloseInfo): boolean {
    const transition = transitionOf(this.#state, event);
    if (transition === undefined) return false;
    this.#state = transition.to;
    this.closeInfo = info;
    for (const effect of transition.effects) Peer.#effects[effect](this, info);
    return true;
  }
}
