import type {
  Backplane,
  BackplaneContext,
  BackplaneStatus,
  CloseCommand,
  EvictCommand,
  HistoryConfig,
  HistoryPage,
  HistoryQuery,
  PresenceEntry,
  PresenceReport,
  PresenceUpdate,
  Receiver,
  RoomNodes,
} from "../backplane/backplane.js";
import type { Claims } from "../backplane/claims.js";
import { closedError } from "../backplane/closedError.js";
import { type Counts, noCounts } from "../backplane/counts.js";
import type { Delivery } from "../backplane/delivery.js";
import { baseOf, isRevoked, isRoom, isTree, type RevokedTopic, type Topic } from "../backplane/topic.js";
import { EnfiladeError } from "../errors.js";
import type { RoomPath } from "../wire/path.js";
import type { Position } from "../wire/position.js";
import { channelOf, presenceChannel, treesChannel } from "./channels.js";
import { ClusterRun } from "./clusterRun.js";
import type { Engine } from "./engine.js";
import { type AddressedNodeMessage, decodeNodeMessage, encodeNodeMessage, type NodeMessage } from "./nodeMessage.js";
import { splitNodeMessages } from "./nodeMessageBatch.js";

/** The state of a started backplane. */
interface ActiveRun {
  readonly run: ClusterRun;
  readonly receiver: Receiver;
  readonly context: BackplaneContext;
}

/**
 * A backplane of many nodes over an {@link Engine}. It keeps the order of publications, closes gaps, and merges
 * presence.
 *
 * ```ts
 * const app = new App({ handlers: [Chat], backplane: new ClusterBackplane(engine) });
 * ```
 */
export class ClusterBackplane implements Backplane {
  readonly claims: Claims | undefined;
  readonly #engine: Engine;
  readonly #topics = new Map<string, Topic>();
  #active: ActiveRun | undefined;
  #malformed = 0;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.claims = engine.claims && {
      claim: async (frame) => (await this.#active?.run.claims?.claim(frame)) ?? { state: "unavailable" },
      settle: (frame, reply) => this.#active?.run.claims?.settle(frame, reply),
      release: (frame) => this.#active?.run.claims?.release(frame),
    };
  }

  start(receiver: Receiver, context: BackplaneContext): void {
    if (this.#active !== undefined) {
      throw new EnfiladeError("ERR_OPTION", `a backplane serves one app; call ${this.#engine.name}() for each app`);
    }
    const onMalformed = (channel: string) => this.#onMalformed(receiver, channel);
    const run = new ClusterRun(this.#engine, receiver, context, onMalformed);
    const active = { run, receiver, context };
    this.#active = active;
    run.start();
    this.#engine.start({
      onUp: () => run.onUp(),
      onDown: (error) => run.onDown(error),
      onMessage: (channel, bytes, position) => this.#onMessage(active, channel, bytes, position),
      onMalformed,
      onError: (error) => receiver.onError(run.outgoing.errorOf("a channel cannot be subscribed", error)),
    });
  }

  open(topic: Topic, history?: HistoryConfig): Promise<void> | undefined {
    const run = this.#active?.run;
    // Every node receives all messages to trees. The publications to the rooms of a tree arrive on their own channels.
    if (run === undefined || isTree(topic)) return undefined;
    this.#topics.set(channelOf(topic), topic);
    const subscribed = run.subscriptions.add(channelOf(topic));
    if (history === undefined || !isRoom(topic)) return subscribed;
    run.cursors.open(topic, history);
    return subscribed?.then(() => run.cursors.begin(topic));
  }

  close(topic: Topic): void {
    const run = this.#active?.run;
    if (run === undefined || isTree(topic)) return;
    this.#topics.delete(channelOf(topic));
    run.subscriptions.remove(channelOf(topic));
    if (!isRoom(topic)) return;
    run.cursors.close(topic);
    run.presence.close(topic);
  }

  publish(topic: Topic, delivery: Delivery): Promise<Position | undefined> {
    const { history } = delivery;
    if (history === undefined || !isRoom(topic)) return this.#post(topic, { delivery });
    if (this.#active === undefined) return Promise.reject(closedError());
    const { run, context } = this.#active;
    const message = encodeNodeMessage({ message: { delivery }, address: undefined });
    const { publicationIdsMax: idsMax, publicationIdsMs: idsMs } = context.limits;
    const id = delivery.id === undefined ? undefined : { id: delivery.id, idsMax, idsMs };
    return run.outgoing.append(run.cursors.engineRoom(topic, history), message, id);
  }

  closeAll(topic: Topic | RevokedTopic, closing: CloseCommand): Promise<void> {
    return this.#post(topic, { closing });
  }

  evict(path: RoomPath, command: EvictCommand): Promise<void> {
    return this.#post(path, { evicting: command });
  }

  async readHistory(path: RoomPath, query: HistoryQuery, history: HistoryConfig): Promise<HistoryPage> {
    const { cursors } = this.#runOrThrow();
    return cursors.readHistory(cursors.engineRoom(path, history), query);
  }

  announce(path: RoomPath, key: string, entry: PresenceEntry | undefined): Promise<unknown> | undefined {
    if (this.#active === undefined) return undefined;
    const { presence, subscriptions } = this.#active.run;
    if (!presence.has(path)) void subscriptions.add(presenceChannel(path));
    return presence.announce(path, key, entry);
  }

  reportPresence(path: RoomPath, key: string, isPresent: boolean, report: PresenceReport): void {
    this.#active?.run.presence.setPresent(path, key, isPresent, report);
  }

  nodesInRoom(path: RoomPath): RoomNodes {
    const run = this.#active?.run;
    return { self: run?.id ?? "", others: run?.presence.nodesInRoom(path) ?? [] };
  }

  async readPresence(path: RoomPath): Promise<readonly PresenceUpdate[]> {
    const { engineState, outgoing, presence } = this.#runOrThrow();
    if (engineState.isUp) return presence.readPresence(path);
    throw outgoing.errorOf("it cannot be reached, so the presence on other nodes is not known", engineState.outage);
  }

  countsElsewhere(): Counts {
    return this.#active?.run.nodes.sum ?? noCounts;
  }

  status(): BackplaneStatus {
    const run = this.#active?.run;
    return {
      historyRooms: 0,
      historyBytes: 0,
      historyEvictions: 0,
      backplane: {
        engine: this.#engine.name,
        state: run?.engineState.isUp === true ? "up" : "away",
        nodes: 1 + (run?.nodes.count ?? 0),
        malformed: this.#malformed,
        ...(run?.cursors.counts ?? { healed: 0, lagged: 0 }),
        unpublished: run?.outgoing.failures ?? 0,
      },
    };
  }

  async probe(): Promise<void> {
    await this.#runOrThrow().probes.probe();
  }

  async stop(): Promise<void> {
    const active = this.#active;
    if (active === undefined) return;
    await active.run.stop(() => {
      this.#active = undefined;
      this.#topics.clear();
    });
  }

  #runOrThrow(): ClusterRun {
    if (this.#active !== undefined) return this.#active.run;
    throw closedError();
  }

  #onMessage(active: ActiveRun, channel: string, bytes: Uint8Array, position: Position | undefined): void {
    if (active !== this.#active) return;
    const { run, receiver } = active;
    const isValidSignal = run.signalReceiver.receive(channel, bytes);
    if (isValidSignal === false) this.#onMalformed(receiver, channel);
    if (isValidSignal !== undefined) return;
    for (const [index, message] of splitNodeMessages(bytes).entries()) {
      this.#onNodeMessage(active, channel, message, position && { ...position, offset: position.offset + index });
    }
  }

  #onNodeMessage(active: ActiveRun, channel: string, bytes: Uint8Array, position: Position | undefined): void {
    const addressed = decodeNodeMessage(bytes);
    const isForAll = channel === treesChannel;
    const topic = isForAll ? topicOf(addressed) : this.#topics.get(channel);
    const isMalformed =
      addressed === undefined || (topic === undefined ? isForAll : !isValidFor(topic, addressed.message));
    if (isMalformed) this.#onMalformed(active.receiver, channel);
    else if (topic === undefined) return;
    else if (isRevoked(topic)) deliverLocally(active.receiver, topic, addressed.message);
    else this.#deliver(active, topic, addressed.message, position);
  }

  #deliver({ run, receiver }: ActiveRun, topic: Topic, message: NodeMessage, position: Position | undefined): void {
    const { cursors } = run;
    if (!("delivery" in message)) {
      const command = () => deliverLocally(receiver, topic, message);
      // Runs after all earlier publications, of which some may have to be read first.
      if (!isRoom(topic) || !cursors.afterPending(topic, command)) command();
      return;
    }
    const { delivery } = message;
    if (position === undefined) {
      const deliver = () => receiver.onDelivery(topic, delivery);
      if (!isRoom(topic) || !cursors.afterPending(topic, deliver)) deliver();
      return;
    }
    const hasCursor = isRoom(topic) && cursors.onArrival(topic, delivery.at(position));
    if (!hasCursor) receiver.onDelivery(topic, delivery);
  }

  #onMalformed(receiver: Receiver, channel: string): void {
    this.#malformed += 1;
    // Only the first one is reported. The status has the number.
    if (this.#malformed > 1) return;
    const problem = `${this.#engine.name} delivered a message that this version does not understand`;
    const place = `on ${JSON.stringify(channel)}; such messages are ignored, and counted in status()`;
    receiver.onError(new EnfiladeError("ERR_BACKPLANE", `${problem}, ${place}`));
  }

  #post(topic: Topic | RevokedTopic, message: NodeMessage): Promise<undefined> {
    if (this.#active === undefined) return Promise.reject(closedError());
    const { run, receiver, context } = this.#active;
    const address = isRevoked(topic) ? topic : isTree(topic) ? baseOf(topic) : undefined;
    const channel = isRevoked(topic) || isTree(topic) ? treesChannel : channelOf(topic);
    const bytes = encodeNodeMessage({ message, address });
    // The caller that revokes access must get an error if other nodes were not reached.
    const isLocal = context.outage === "local" && !isRevoked(topic);
    const deliverHere = isLocal ? () => deliverLocally(receiver, topic, message) : undefined;
    return run.outgoing.post(channel, bytes, deliverHere);
  }
}

/** The topic of a message that every node receives. */
function topicOf(addressed: AddressedNodeMessage | undefined): Topic | RevokedTopic | undefined {
  const address = addressed?.address;
  return address === undefined || isRevoked(address) ? address : `below:${address}`;
}

/** Returns false for a command to evict from a topic that is not a room, and for a message to clients to be closed. */
function isValidFor(topic: Topic | RevokedTopic, message: NodeMessage): boolean {
  return isRevoked(topic) ? "closing" in message : isRoom(topic) || !("evicting" in message);
}

/** Delivers on this node only. */
function deliverLocally(receiver: Receiver, topic: Topic | RevokedTopic, message: NodeMessage): void {
  if ("closing" in message) receiver.onCloseAll(topic, message.closing);
  else if (isRevoked(topic)) return;
  else if ("delivery" in message) receiver.onDelivery(topic, message.delivery);
  else if (isRoom(topic)) receiver.onEvict(topic, message.evicting);
}
