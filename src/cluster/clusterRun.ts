import { randomBytes } from "node:crypto";
import type { BackplaneContext, Receiver } from "../backplane/backplane.js";
import { type Timer, timeIsUp, within } from "../connection/clock.js";
import { asError } from "../errors.js";
import type { RoomPath } from "../wire/path.js";
import { ChannelSubscriptions } from "./channelSubscriptions.js";
import { nodeChannel, nodesChannel, presenceChannel, treesChannel } from "./channels.js";
import { ClusterClaims } from "./claims/clusterClaims.js";
import type { EngineClaims } from "./claims/engineClaims.js";
import type { Engine } from "./engine.js";
import { EngineState } from "./engineState.js";
import { NodeSignals, SignalReceiver } from "./nodeSignals.js";
import { Nodes } from "./nodes.js";
import { OutgoingQueue } from "./outgoingQueue.js";
import { ClusterPresence } from "./presence/clusterPresence.js";
import { Probes } from "./probes.js";
import { HistoryReader } from "./rooms/historyReader.js";
import { RoomCursors } from "./rooms/roomCursors.js";
import { Witnesses } from "./rooms/witnesses.js";

/** An attempt to connect may take `backplaneMs` times this. */
const connectTimeoutFactor = 3;
/** Milliseconds for the engine to accept the last publications, and again as long for it to stop. */
const stopMs = 1_000;
/** Milliseconds between two calls of `tidy`, at random up to half more or less. */
const tidyMs = 3_600_000;

/** A node of the cluster, from its start to its stop: makes its parts, and notifies them of the engine's connection. */
export class ClusterRun {
  /** The id of this node. Each start has a new one. */
  readonly id = randomBytes(9).toString("base64url");
  readonly engineState = new EngineState();
  readonly outgoing: OutgoingQueue;
  readonly subscriptions: ChannelSubscriptions;
  readonly nodes: Nodes;
  readonly presence: ClusterPresence;
  readonly cursors: RoomCursors;
  /** `undefined` if the engine stores no claims. */
  readonly claims: ClusterClaims | undefined;
  readonly signals: NodeSignals;
  readonly probes: Probes;
  readonly signalReceiver: SignalReceiver;
  readonly #witnesses: Witnesses;
  readonly #engine: Engine;
  readonly #context: BackplaneContext;
  readonly #receiver: Receiver;
  readonly #onMalformed: (channel: string) => void;
  #connectTimeout: Timer | undefined;
  #tidyTimer: Timer | undefined;
  /** The connection of the last error of a claim that was reported. */
  #claimErrorConnection = 0;
  #isClaimless = false;
  #isStopping = false;
  #isStopped = false;

  constructor(
    engine: Engine,
    receiver: Receiver,
    context: BackplaneContext,
    /** Receives the channel of each message that this version does not understand. */
    onMalformed: (channel: string) => void,
  ) {
    this.#engine = engine;
    this.#context = context;
    this.#receiver = receiver;
    this.#onMalformed = onMalformed;
    this.subscriptions = new ChannelSubscriptions({ engine, onError: (error) => this.#onSubscribeError(error) });
    this.outgoing = this.#makeOutgoing();
    const { id, engineState, subscriptions } = this;
    this.signals = new NodeSignals({ id, engine, engineState, subscriptions });
    this.probes = new Probes((number) => void this.signals.send(nodeChannel(id), "probe", { node: id, number }));
    this.presence = this.#makePresence();
    this.nodes = this.#makeNodes();
    this.#witnesses = this.#makeWitnesses();
    this.cursors = this.#makeCursors();
    this.claims = engine.claims && this.#makeClaims(engine.claims);
    const { nodes, presence, claims, probes } = this;
    this.signalReceiver = new SignalReceiver({ id, nodes, presence, witnesses: this.#witnesses, claims, probes });
  }

  start(): void {
    for (const channel of [treesChannel, nodesChannel, nodeChannel(this.id)]) void this.subscriptions.add(channel);
    this.#startConnectTimeout();
    this.#tidyLater();
  }

  /** The engine is connected. */
  onUp(): void {
    if (this.#isStopped) return;
    this.#connectTimeout?.cancel();
    this.engineState.markUp();
    this.#catchUp().catch((error) => this.#receiver.onError(asError(error)));
  }

  /** The engine cannot be reached. */
  onDown(error: Error): void {
    if (this.#isStopped) return;
    const isChange = this.engineState.markAway(error);
    this.#startConnectTimeout();
    this.nodes.pause();
    this.subscriptions.disconnect();
    this.outgoing.stopWatching();
    this.cursors.rejectWaiting(this.outgoing.errorOf("the history cannot be read now", error));
    this.presence.stopWaiting();
    if (!isChange) return;
    this.#receiver.onError(this.outgoing.errorOf("it cannot be reached; the app continues to try", error));
  }

  /** @param onSent Called when the last publications are sent. After that nothing is delivered or published. */
  async stop(onSent: () => void): Promise<void> {
    const { clock } = this.#context;
    this.#isStopping = true;
    this.presence.end();
    this.nodes.end();
    this.signals.stop();
    this.cursors.end();
    this.#witnesses.end();
    this.claims?.stop();
    this.#tidyTimer?.cancel();
    this.#connectTimeout?.cancel();
    // Waits for the last publications to be sent, but not for long if the engine does not answer.
    const idle = Promise.all([this.outgoing.idle(), this.claims?.idle()]);
    if (this.engineState.isUp) await within(clock, stopMs, idle);
    this.#isStopped = true;
    onSent();
    this.subscriptions.disconnect();
    this.outgoing.stopWatching();
    this.engineState.markAway(new Error("the app is closed"));
    this.#connectTimeout?.cancel();
    await within(clock, stopMs, this.#engine.stop());
  }

  /** Subscribes again, finds the other nodes, and reads missed publications. */
  async #catchUp(): Promise<void> {
    const { connectionNumber } = this.engineState;
    this.cursors.renew();
    await this.subscriptions.renew();
    if (this.#isStopped || !this.engineState.isUp || this.engineState.connectionNumber !== connectionNumber) return;
    this.nodes.begin();
    this.presence.begin();
    this.claims?.onUp();
    for (const node of this.nodes.answering) this.presence.askAll(node);
    await this.cursors.compareAll();
  }

  #makeOutgoing(): OutgoingQueue {
    const { engineState, subscriptions } = this;
    const { clock, limits } = this.#context;
    const { backplaneMs, backplaneBytesMax } = limits;
    return new OutgoingQueue({
      engine: this.#engine,
      clock,
      engineState,
      backplaneMs,
      backplaneBytesMax,
      onAppended: (path, position) => this.cursors.onAcknowledged(path, position),
      // All publications wait until the first attempt to connect has succeeded or failed.
      whenReady: (channel) => {
        const subscribed = subscriptions.whenSubscribed(engineState.state === "connecting" ? nodesChannel : channel);
        const begun = this.cursors.whenBegun(channel);
        return subscribed === undefined ? begun : begun === undefined ? subscribed : subscribed.then(() => begun);
      },
    });
  }

  #makePresence(): ClusterPresence {
    const { id, engineState, signals } = this;
    return new ClusterPresence({
      id,
      clock: this.#context.clock,
      otherNodes: () => (engineState.isUp ? this.nodes.answering : []),
      isAlone: () => engineState.state === "away" && this.#context.outage === "local",
      sendToRoom: (path, kind, fields) => signals.send(presenceChannel(path), kind, fields),
      sendToNode: (node, kind, fields) => void signals.send(nodeChannel(node), kind, fields),
      onPresence: (path, changes) => this.#receiver.onPresence(path, changes),
      onClosed: (path) => this.subscriptions.remove(presenceChannel(path)),
    });
  }

  #makeNodes(): Nodes {
    const { id, presence, signals } = this;
    const { clock, limits } = this.#context;
    const counts = () => this.#receiver.counts();
    return new Nodes({
      id,
      clock,
      heartbeatMs: limits.nodeHeartbeatMs,
      sendHeartbeat: () => void signals.sendHeartbeats(counts, presence),
      sendLeave: () => void signals.send(nodesChannel, "leave", { node: id }),
      onFound: (node) => {
        // The other node may be new, and would learn of this node only by its next heartbeat.
        void signals.sendHeartbeat(nodeChannel(node), counts(), { presence: [], renew: false });
        presence.askAll(node);
      },
      onLost: (node, isSilent) => {
        presence.forget(node, isSilent);
        this.#witnesses.onLost(node, isSilent);
        this.claims?.onLost(node);
      },
      onOwnHeartbeatsLost: () => this.#restart(new Error("this node does not receive its own heartbeats")),
    });
  }

  #makeWitnesses(): Witnesses {
    const { id, nodes, signals } = this;
    const { clock, limits } = this.#context;
    return new Witnesses({
      id,
      clock,
      answerMs: limits.backplaneMs,
      others: () => nodes.witnesses,
      send: (node, kind, fields) => void signals.send(nodeChannel(node), kind, fields),
      seenHere: (path, epoch, later) => this.cursors.seenBetween(path, epoch, later),
    });
  }

  #makeCursors(): RoomCursors {
    const { engineState, outgoing, subscriptions } = this;
    const witnesses = this.#witnesses;
    const now = Date.now;
    const [engine, context, receiver] = [this.#engine, this.#context, this.#receiver];
    const history = new HistoryReader({
      engine,
      engineState,
      outgoing,
      // A long read may be slow on a good connection, so it does not restart the connection.
      inTime: (answer) => this.#inTime(answer, false),
      whenConnected: () =>
        engineState.state === "connecting" ? subscriptions.whenSubscribed(nodesChannel) : undefined,
      now,
      onMalformed: (path: RoomPath) => this.#onMalformed(path),
    });
    const inTime = <T>(answer: Promise<T>) => this.#inTime(answer, true);
    return new RoomCursors({ engine, engineState, history, outgoing, receiver, context, witnesses, inTime, now });
  }

  #makeClaims(claims: EngineClaims): ClusterClaims {
    const { id, engineState, nodes, signals, subscriptions } = this;
    const { clock, limits, outage } = this.#context;
    return new ClusterClaims({
      id,
      clock,
      claims,
      engineState,
      outage,
      claimMs: limits.claimMs,
      inTime: (answer) => this.#inTime(answer, true),
      whenConnected: () =>
        engineState.state === "connecting" ? subscriptions.whenSubscribed(nodesChannel) : undefined,
      isLost: (node) => nodes.isLost(node),
      send: (node, kind, fields) =>
        void signals.send(node === undefined ? nodesChannel : nodeChannel(node), kind, fields),
      onError: (error) => this.#onClaimError(error),
      onUnsupported: () => this.#onUnsupportedClaims(),
    });
  }

  /** Reports one refusal on each connection; the loss of a connection is reported already. */
  #onClaimError(error: Error): void {
    const { connectionNumber } = this.engineState;
    if (!this.#engine.refuses(error) || this.#claimErrorConnection === connectionNumber) return;
    this.#claimErrorConnection = connectionNumber;
    this.#receiver.onError(this.outgoing.errorOf("requests of clients cannot be claimed, so they are not run", error));
  }

  #onUnsupportedClaims(): void {
    if (this.#isClaimless) return;
    this.#isClaimless = true;
    const cause = new Error("the server stores no claims; NATS needs JetStream for them");
    this.#receiver.onError(this.outgoing.errorOf("a request that is repeated on another node runs again there", cause));
  }

  #onSubscribeError(error: unknown): void {
    if (!this.engineState.isUp) return;
    this.#receiver.onError(this.outgoing.errorOf("a channel cannot be subscribed", asError(error)));
  }

  /** Reconnects to an engine that accepts a connection but does not answer. */
  #startConnectTimeout(): void {
    const { clock, limits } = this.#context;
    const ms = connectTimeoutFactor * limits.backplaneMs;
    this.#connectTimeout?.cancel();
    this.#connectTimeout = clock.setTimeout(
      () => this.#engine.restart(new Error(`it did not answer within ${ms} ms`)),
      ms,
    );
  }

  #tidyLater(): void {
    const { clock, random } = this.#context;
    this.#tidyTimer = clock.setTimeout(() => this.#tidy(), tidyMs * (0.5 + random()));
  }

  #tidy(): void {
    this.#tidyLater();
    if (!this.engineState.isUp) return;
    this.#engine
      .tidy?.()
      .catch((error) =>
        this.#receiver.onError(this.outgoing.errorOf("unused rooms could not be removed", asError(error))),
      );
  }

  /**
   * Rejects when the engine does not answer within `backplaneMs`.
   *
   * @param canRestart If true, it then also reconnects to the engine.
   */
  async #inTime<T>(answer: Promise<T>, canRestart: boolean): Promise<T> {
    const { clock, limits } = this.#context;
    const { connectionNumber } = this.engineState;
    const answered = await within(clock, limits.backplaneMs, answer);
    if (answered !== timeIsUp) return answered;
    const error = new Error(`${this.#engine.name} did not answer within ${limits.backplaneMs} ms`);
    if (canRestart && this.engineState.connectionNumber === connectionNumber) this.#restart(error);
    throw error;
  }

  #restart(error: Error): void {
    if (this.engineState.isUp && !this.#isStopping) this.#engine.restart(error);
  }
}
