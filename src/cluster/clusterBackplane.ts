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
import { type Counts, noCounts } from "../backplane/counts.js";
import type { Delivery } from "../backplane/delivery.js";
import { baseOf, isRoom, isTree, type Topic } from "../backplane/topic.js";
import { EnfiladeError } from "../errors.js";
import type { RoomPath } from "../wire/path.js";
import type { Position } from "../wire/position.js";
import { channelOf, presenceChannel, treesChannel } from "./channels.js";
import { ClusterRun } from "./clusterRun.js";
import type { Engine } from "./engine.js";
import { decodeNodeMessage, encodeNodeMessage, type NodeMessage } from "./nodeMessage.js";
import { splitNodeMessages } from "./nodeMessageBatch.js";

/** What there is from a start to the next stop. */
interface Running {
  readonly run: ClusterRun;
  readonly receiver: Receiver;
  readonly context: BackplaneContext;
}

/** A backplane of many nodes over an engine that carries bytes between them. */
export class ClusterBackplane implements Backplane {
  readonly #engine: Engine;
  readonly #topics = new Map<string, Topic>();
  #running: Running | undefined;
  #malformed = 0;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  start(receiver: Receiver, context: BackplaneContext): void {
    if (this.#running !== undefined) {
      throw new EnfiladeError("ERR_OPTION", `a backplane serves one app; call ${this.#engine.name}() for each`);
    }
    const onMalformed = (channel: string) => this.#onMalformed(receiver, channel);
    const run = new ClusterRun(this.#engine, receiver, context, onMalformed);
    const running = { run, receiver, context };
    this.#running = running;
    run.start();
    this.#engine.start({
      onUp: () => run.onUp(),
      onDown: (error) => run.onDown(error),
      onMessage: (channel, bytes, position) => this.#onMessage(running, channel, bytes, position),
      onMalformed,
      onError: (error) => receiver.onError(run.outgoing.errorOf("a channel cannot be subscribed", error)),
    });
  }

  open(topic: Topic, history?: HistoryConfig): Promise<void> | undefined {
    const run = this.#running?.run;
    // Every node receives what is sent to a tree; what is published to its rooms comes on the channels of these.
    if (run === undefined || isTree(topic)) return undefined;
    this.#topics.set(channelOf(topic), topic);
    const subscribed = run.subscriptions.add(channelOf(topic));
    if (history === undefined || !isRoom(topic)) return subscribed;
    run.cursors.open(topic, history);
    return subscribed?.then(() => run.cursors.begin(topic));
  }

  close(topic: Topic): void {
    const run = this.#running?.run;
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
    const run = this.#running?.run;
    if (run === undefined) return Promise.reject(closed());
    const message = encodeNodeMessage({ message: { delivery }, below: undefined });
    return run.outgoing.append({ path: topic, history }, message);
  }

  closeAll(topic: Topic, closing: CloseCommand): Promise<void> {
    return this.#post(topic, { closing });
  }

  evict(path: RoomPath, command: EvictCommand): Promise<void> {
    return this.#post(path, { evicting: command });
  }

  async readHistory(path: RoomPath, query: HistoryQuery, history: HistoryConfig): Promise<HistoryPage> {
    return this.#runOrThrow().cursors.readHistory({ path, history }, query);
  }

  announce(path: RoomPath, key: string, entry: PresenceEntry | undefined): Promise<unknown> | undefined {
    if (this.#running === undefined) return undefined;
    const { presence, subscriptions } = this.#running.run;
    if (!presence.has(path)) void subscriptions.add(presenceChannel(path));
    return presence.announce(path, key, entry);
  }

  reportPresence(path: RoomPath, key: string, isPresent: boolean, report: PresenceReport): void {
    this.#running?.run.presence.setPresent(path, key, isPresent, report);
  }

  nodesInRoom(path: RoomPath): RoomNodes {
    const run = this.#running?.run;
    return { self: run?.id ?? "", others: run?.presence.nodesInRoom(path) ?? [] };
  }

  async readPresence(path: RoomPath): Promise<readonly PresenceUpdate[]> {
    const { engineState, outgoing, presence } = this.#runOrThrow();
    if (engineState.isUp) return presence.readPresence(path);
    throw outgoing.errorOf("who is on other nodes is not known until it is back", engineState.outage);
  }

  countsElsewhere(): Counts {
    return this.#running?.run.nodes.sum ?? noCounts;
  }

  status(): BackplaneStatus {
    const run = this.#running?.run;
    return {
      ...{ historyRooms: 0, historyBytes: 0, historyEvictions: 0 },
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

  async stop(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    await running.run.stop(() => {
      this.#running = undefined;
      this.#topics.clear();
    });
  }

  #runOrThrow(): ClusterRun {
    if (this.#running !== undefined) return this.#running.run;
    throw closed();
  }

  #onMessage(running: Running, channel: string, bytes: Uint8Array, position: Position | undefined): void {
    if (running !== this.#running) return;
    const { run, receiver } = running;
    const isUnderstood = run.signalReceiver.receive(channel, bytes);
    if (isUnderstood === false) this.#onMalformed(receiver, channel);
    if (isUnderstood !== undefined) return;
    for (const [index, message] of splitNodeMessages(bytes).entries()) {
      this.#onNodeMessage(running, channel, message, position && { ...position, offset: position.offset + index });
    }
  }

  #onNodeMessage(running: Running, channel: string, bytes: Uint8Array, position: Position | undefined): void {
    const addressed = decodeNodeMessage(bytes);
    const isForTree = channel === treesChannel;
    const topic: Topic | undefined = isForTree
      ? addressed?.below && `below:${addressed.below}`
      : this.#topics.get(channel);
    const isMalformed = addressed === undefined || (topic === undefined ? isForTree : !isFor(topic, addressed.message));
    if (isMalformed) this.#onMalformed(running.receiver, channel);
    else if (topic !== undefined) this.#deliver(running, topic, addressed.message, position);
  }

  #deliver({ run, receiver }: Running, topic: Topic, message: NodeMessage, position: Position | undefined): void {
    const { cursors } = run;
    if (!("delivery" in message)) {
      const command = () => deliverLocally(receiver, topic, message);
      // After everything that was published before, some of which may have to be read first.
      if (!isRoom(topic) || !cursors.afterPending(topic, command)) command();
      return;
    }
    const { delivery } = message;
    const hasCursor = position !== undefined && isRoom(topic) && cursors.take(topic, delivery.at(position));
    if (!hasCursor) receiver.onDelivery(topic, delivery);
  }

  #onMalformed(receiver: Receiver, channel: string): void {
    this.#malformed += 1;
    // Only the first one is reported; the status has their number.
    if (this.#malformed > 1) return;
    const what = `${this.#engine.name} delivered a message that this version does not understand`;
    const where = `on ${JSON.stringify(channel)}; such messages are ignored, and counted in status()`;
    receiver.onError(new EnfiladeError("ERR_BACKPLANE", `${what}, ${where}`));
  }

  #post(topic: Topic, message: NodeMessage): Promise<undefined> {
    if (this.#running === undefined) return Promise.reject(closed());
    const { run, receiver, context } = this.#running;
    const channel = isTree(topic) ? treesChannel : channelOf(topic);
    const bytes = encodeNodeMessage({ message, below: isTree(topic) ? baseOf(topic) : undefined });
    const deliverHere = context.outage === "local" ? () => deliverLocally(receiver, topic, message) : undefined;
    return run.outgoing.post(channel, bytes, deliverHere);
  }
}

/** Members are evicted from rooms only. */
function isFor(topic: Topic, message: NodeMessage): boolean {
  return isRoom(topic) || !("evicting" in message);
}

/** Delivers on this node alone. */
function deliverLocally(receiver: Receiver, topic: Topic, message: NodeMessage): void {
  if ("delivery" in message) receiver.onDelivery(topic, message.delivery);
  else if ("closing" in message) receiver.onCloseAll(topic, message.closing);
  else if (isRoom(topic)) receiver.onEvict(topic, message.evicting);
}

function closed(): EnfiladeError {
  return new EnfiladeError("ERR_APP_STATE", "the app is closed, and its backplane publishes nothing more");
}
