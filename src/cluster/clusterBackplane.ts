import { randomBytes } from "node:crypto";
import type {
  Backplane,
  BackplaneContext,
  BackplaneStatus,
  CloseCommand,
  HistoryConfig,
  HistoryPage,
  HistoryQuery,
  PresenceEntry,
  PresenceUpdate,
  Receiver,
  RoomNodes,
} from "../backplane/backplane.js";
import { type Counts, noCounts } from "../backplane/counts.js";
import type { Delivery } from "../backplane/delivery.js";
import { baseOf, isRoom, isTree, type Topic } from "../backplane/topic.js";
import { type Timer, timeIsUp, within } from "../connection/clock.js";
import { asError, EnfiladeError } from "../errors.js";
import type { RoomPath } from "../wire/path.js";
import type { Position } from "../wire/position.js";
import { ChannelSubscriptions } from "./channelSubscriptions.js";
import { ClusterPresence } from "./clusterPresence.js";
import type { Engine } from "./engine.js";
import { EngineState } from "./engineState.js";
import { HistoryReader } from "./historyReader.js";
import {
  decodeNodeMessage,
  decodeSignal,
  encodeNodeMessage,
  encodeSignal,
  type Fields,
  type NodeMessage,
} from "./nodeMessage.js";
import { splitNodeMessages } from "./nodeMessageBatch.js";
import { beatOf, Nodes } from "./nodes.js";
import { OutgoingQueue } from "./outgoingQueue.js";
import { RoomCursors } from "./roomCursors.js";

/** Heard by every node: what is for a room and all below it, and signs of life. */
const treesChannel = "trees";
const nodesChannel = "nodes";
const rosterPrefix = "roster:";
/** Times `backplaneMs` that an attempt to connect may take. */
const connectTimeoutTimes = 3;
/** Milliseconds that an engine has to take what was published last, and then to say good-bye. */
const stopMs = 1_000;
/** Signs of life that may follow one another where much has changed. */
const beatsMax = 20;
/** Milliseconds, give or take a half, between two times that what nobody needs is let go of. */
const tidyMs = 3_600_000;

/** What lasts from a start to the next stop. */
interface Run {
  /** Names this life of this node. */
  readonly id: string;
  readonly context: BackplaneContext;
  readonly receiver: Receiver;
  readonly link: EngineState;
  readonly outgoing: OutgoingQueue;
  readonly subscriptions: ChannelSubscriptions;
  readonly nodes: Nodes;
  readonly presence: ClusterPresence;
  readonly cursors: RoomCursors;
}

/** A backplane of many nodes, over an engine that carries bytes between them: the same over each. */
export class ClusterBackplane implements Backplane {
  readonly #engine: Engine;
  #run: Run | undefined;
  readonly #topics = new Map<string, Topic>();
  #tidying: Timer | undefined;
  #connectTimeout: Timer | undefined;
  #malformed = 0;
  /** It has taken leave of the others, and tells them nothing more. */
  #isStopping = false;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  start(receiver: Receiver, context: BackplaneContext): void {
    if (this.#run !== undefined) {
      throw new EnfiladeError("ERR_OPTION", `a backplane serves one app; call ${this.#engine.name}() for each`);
    }
    const run = this.#makeRun(receiver, context);
    this.#run = run;
    for (const channel of [treesChannel, nodesChannel, `node:${run.id}`]) void run.subscriptions.add(channel);
    this.#engine.start({
      onUp: () => this.#onUp(run),
      onDown: (error) => this.#onDown(run, error),
      onMessage: (channel, bytes, position) => this.#onMessage(run, channel, bytes, position),
      onMalformed: (channel) => this.#onMalformed(receiver, channel),
      onError: (error) => receiver.onError(run.outgoing.errorOf("a channel cannot be heard", error)),
    });
    this.#startConnectTimeout(run);
    this.#tidyLater(run);
  }

  open(topic: Topic, history?: HistoryConfig): Promise<void> | undefined {
    const run = this.#run;
    if (run === undefined) return undefined;
    this.#topics.set(channelOf(topic), topic);
    const heard = run.subscriptions.add(channelOf(topic));
    if (history === undefined || !isRoom(topic)) return heard;
    run.cursors.open(topic, history);
    return heard?.then(() => run.cursors.begin(topic));
  }

  close(topic: Topic): void {
    const run = this.#run;
    if (run === undefined) return;
    this.#topics.delete(channelOf(topic));
    run.subscriptions.remove(channelOf(topic));
    if (!isRoom(topic)) return;
    run.cursors.close(topic);
    if (!run.presence.has(topic)) return;
    run.presence.close(topic);
    run.subscriptions.remove(rosterPrefix + topic);
  }

  publish(topic: Topic, delivery: Delivery): Promise<Position | undefined> {
    const { history } = delivery;
    if (history === undefined || !isRoom(topic)) return this.#post(topic, { delivery });
    if (this.#run === undefined) return Promise.reject(closed());
    const message = encodeNodeMessage({ message: { delivery }, below: undefined });
    return this.#run.outgoing.append({ path: topic, history }, message);
  }

  closeAll(topic: Topic, closing: CloseCommand): Promise<void> {
    return this.#post(topic, { closing });
  }

  async readHistory(path: RoomPath, query: HistoryQuery, history: HistoryConfig): Promise<HistoryPage> {
    return this.#running.cursors.readHistory({ path, history }, query);
  }

  announce(path: RoomPath, key: string, entry: PresenceEntry | undefined): Promise<unknown> | undefined {
    if (this.#run === undefined) return undefined;
    const { presence, subscriptions } = this.#run;
    if (!presence.has(path)) void subscriptions.add(rosterPrefix + path);
    return presence.announce(path, key, entry);
  }

  nodesInRoom(path: RoomPath): RoomNodes {
    return { self: this.#run?.id ?? "", others: this.#run?.presence.nodesInRoom(path) ?? [] };
  }

  async readPresence(path: RoomPath): Promise<readonly PresenceUpdate[]> {
    const { link, outgoing, presence } = this.#running;
    if (!link.isUp) throw outgoing.errorOf("who is on other nodes is not known until it is back", link.outage);
    return presence.readPresence(path);
  }

  countsElsewhere(): Counts {
    return this.#run?.nodes.sum ?? noCounts;
  }

  status(): BackplaneStatus {
    return {
      ...{ historyRooms: 0, historyBytes: 0, historyEvictions: 0 },
      backplane: {
        engine: this.#engine.name,
        state: this.#run?.link.isUp === true ? "up" : "away",
        nodes: 1 + (this.#run?.nodes.count ?? 0),
        malformed: this.#malformed,
        ...(this.#run?.cursors.counts ?? { healed: 0, lagged: 0 }),
        unpublished: this.#run?.outgoing.failures ?? 0,
      },
    };
  }

  async stop(): Promise<void> {
    const run = this.#run;
    if (run === undefined) return;
    const { clock } = run.context;
    run.nodes.end();
    this.#isStopping = true;
    run.cursors.end();
    this.#tidying?.cancel();
    this.#connectTimeout?.cancel();
    // What was published last is to leave; an engine that does not answer is not waited for.
    if (run.link.isUp) await within(clock, stopMs, run.outgoing.idle());
    this.#run = undefined;
    this.#topics.clear();
    run.subscriptions.lose();
    run.outgoing.stopWatching();
    run.link.markAway(new Error("the app is closed"));
    this.#connectTimeout?.cancel();
    await within(clock, stopMs, this.#engine.stop());
    this.#isStopping = false;
  }

  get #running(): Run {
    if (this.#run !== undefined) return this.#run;
    throw closed();
  }

  #makeRun(receiver: Receiver, context: BackplaneContext): Run {
    const { clock, limits } = context;
    const { backplaneMs, backplaneBytesMax, nodeHeartbeatMs: heartbeatMs } = limits;
    const id = randomBytes(9).toString("base64url");
    const link = new EngineState();
    // Until the first attempt to connect is decided, everything waits for it.
    const heard = (channel: string) => subscriptions.heard(link.state === "connecting" ? nodesChannel : channel);
    const outgoing = new OutgoingQueue({ engine: this.#engine, clock, link, backplaneMs, backplaneBytesMax, heard });
    const failed = (error: unknown) => {
      if (link.isUp) receiver.onError(outgoing.errorOf("a channel cannot be heard", asError(error)));
    };
    const subscriptions: ChannelSubscriptions = new ChannelSubscriptions({ engine: this.#engine, failed });
    const tell = (channel: string, kind: string, fields: object) => void this.#tell(channel, kind, fields);
    const presence: ClusterPresence = new ClusterPresence({
      ...{ id, clock },
      otherNodes: () => (link.isUp ? nodes.answering : []),
      tellRoom: (path, kind, fields) => tell(rosterPrefix + path, kind, fields),
      tellNode: (node, kind, fields) => tell(`node:${node}`, kind, fields),
      present: (path, changes) => receiver.onPresence(path, changes),
    });
    const beat = (channel: string, marks: ReturnType<ClusterPresence["marks"]>) =>
      this.#tell(channel, "beat", { node: id, counts: receiver.counts(), ...marks });
    const sayAlive = async () => {
      for (let beats = 1; beats === 1 || (presence.isMarked && beats <= beatsMax); beats += 1) {
        const marks = presence.marks();
        if (await beat(nodesChannel, marks)) continue;
        presence.unmark(marks);
        return;
      }
    };
    const nodes: Nodes = new Nodes({
      ...{ id, clock, heartbeatMs },
      beat: () => void sayAlive(),
      bye: () => tell(nodesChannel, "bye", { node: id }),
      met: (node) => {
        // It may be new, and not know of this one before its next sign of life.
        void beat(`node:${node}`, { rosters: [], renew: false });
        presence.askAll(node);
      },
      gone: (node) => presence.forget(node),
      deaf: () => this.#restart(link, new Error(`this node does not hear what it publishes to ${this.#engine.name}`)),
    });
    const inTime = <T>(answer: Promise<T>) => this.#inTime(context, link, answer, true);
    const archive = new HistoryReader({
      ...{ engine: this.#engine, link, outgoing },
      // Much may be kept, and take its time; that the engine is there is seen by other things.
      inTime: (answer) => this.#inTime(context, link, answer, false),
      decided: () => (link.state === "connecting" ? subscriptions.heard(nodesChannel) : undefined),
      malformed: (path) => this.#onMalformed(receiver, path),
    });
    const cursors = new RoomCursors({ engine: this.#engine, link, archive, outgoing, receiver, context, inTime });
    return { id, context, receiver, link, outgoing, subscriptions, nodes, presence, cursors };
  }

  #onUp(run: Run): void {
    if (run !== this.#run) return;
    this.#connectTimeout?.cancel();
    run.link.markUp();
    this.#hearAgain(run).catch((error) => run.receiver.onError(asError(error)));
  }

  async #hearAgain(run: Run): Promise<void> {
    const { connectionNumber } = run.link;
    await run.subscriptions.renew();
    if (run !== this.#run || !run.link.isUp || run.link.connectionNumber !== connectionNumber) return;
    run.nodes.begin();
    for (const node of run.nodes.answering) run.presence.askAll(node);
    await run.cursors.compareAll();
  }

  #onDown(run: Run, error: Error): void {
    if (run !== this.#run) return;
    const isNews = run.link.markAway(error);
    this.#startConnectTimeout(run);
    run.nodes.pause();
    run.subscriptions.lose();
    run.outgoing.stopWatching();
    run.cursors.rejectWaiting(run.outgoing.errorOf("what is kept cannot be read now", error));
    run.presence.release();
    if (isNews)
      run.receiver.onError(run.outgoing.errorOf("it cannot be reached, and is tried again until it can", error));
  }

  /** An engine that takes a connection and says nothing is tried anew. */
  #startConnectTimeout(run: Run): void {
    const { clock, limits } = run.context;
    this.#connectTimeout?.cancel();
    this.#connectTimeout = clock.setTimeout(() => {
      this.#engine.restart(new Error(`it did not speak within ${connectTimeoutTimes * limits.backplaneMs} ms`));
    }, connectTimeoutTimes * limits.backplaneMs);
  }

  #tidyLater(run: Run): void {
    const { clock, random } = run.context;
    this.#tidying = clock.setTimeout(
      () => {
        this.#tidyLater(run);
        if (!run.link.isUp) return;
        this.#engine
          .tidy?.()
          .catch((error) => run.receiver.onError(run.outgoing.errorOf("it could not be tidied", error)));
      },
      tidyMs * (0.5 + random()),
    );
  }

  #onMessage(run: Run, channel: string, bytes: Uint8Array, position: Position | undefined): void {
    if (run !== this.#run) return;
    if (channel === nodesChannel || channel.startsWith("node:") || channel.startsWith(rosterPrefix)) {
      const fields = decodeSignal(bytes);
      if (fields === undefined || !this.#heed(run, channel, fields)) this.#onMalformed(run.receiver, channel);
      return;
    }
    for (const [index, message] of splitNodeMessages(bytes).entries()) {
      this.#onParcel(run, channel, message, position && { ...position, offset: position.offset + index });
    }
  }

  #onParcel(run: Run, channel: string, bytes: Uint8Array, position: Position | undefined): void {
    const addressed = decodeNodeMessage(bytes);
    const isForTree = channel === treesChannel;
    const topic: Topic | undefined = isForTree
      ? addressed?.below && `below:${addressed.below}`
      : this.#topics.get(channel);
    if (addressed === undefined || (isForTree && topic === undefined)) this.#onMalformed(run.receiver, channel);
    else if (topic !== undefined) this.#take(run, topic, addressed.message, position);
  }

  #take({ receiver, cursors }: Run, topic: Topic, message: NodeMessage, position: Position | undefined): void {
    if ("closing" in message) {
      const close = () => receiver.onCloseAll(topic, message.closing);
      // Behind whatever was published before, some of which may have to be read.
      if (!isRoom(topic) || !cursors.afterPending(topic, close)) close();
      return;
    }
    const { delivery } = message;
    const isFollowed = position !== undefined && isRoom(topic) && cursors.take(topic, delivery.at(position));
    if (!isFollowed) receiver.onDelivery(topic, delivery);
  }

  /** Whether a signal was understood. */
  #heed(run: Run, channel: string, fields: Fields): boolean {
    const { t: kind, node, path } = fields;
    if (typeof node !== "string") return false;
    if (kind === "bye") {
      run.nodes.leave(node);
      return true;
    }
    if (kind !== "beat") {
      run.nodes.meet(node);
      return run.presence.receive(
        channel.startsWith(rosterPrefix) ? channel.slice(rosterPrefix.length) : path,
        kind,
        fields,
      );
    }
    const beat = beatOf(fields);
    if (beat === undefined) return false;
    run.presence.compare(node, beat.rosters);
    run.nodes.receive(beat);
    if (beat.renew && node !== run.id) run.presence.askAll(node);
    return true;
  }

  #onMalformed(receiver: Receiver, channel: string): void {
    this.#malformed += 1;
    // The first one is worth a report; of all, the status tells the number.
    if (this.#malformed > 1) return;
    const what = `${this.#engine.name} brought a message that is none of this version, on ${JSON.stringify(channel)}`;
    receiver.onError(new EnfiladeError("ERR_BACKPLANE", `${what}; such messages are ignored, and counted in status()`));
  }

  #post(topic: Topic, message: NodeMessage): Promise<undefined> {
    const run = this.#run;
    if (run === undefined) return Promise.reject(closed());
    const channel = isTree(topic) ? treesChannel : channelOf(topic);
    const bytes = encodeNodeMessage({ message, below: isTree(topic) ? baseOf(topic) : undefined });
    const deliverHere = run.context.outage === "local" ? () => takeHere(run.receiver, topic, message) : undefined;
    return run.outgoing.post(channel, bytes, deliverHere);
  }

  /** Whether a signal was sent. One that is lost is made up for by the next sign of life. */
  async #tell(channel: string, kind: string, fields: object): Promise<boolean> {
    const { link, subscriptions } = this.#run ?? {};
    try {
      await subscriptions?.heard(channel);
      if (link?.isUp !== true || (this.#isStopping && kind !== "bye")) return false;
      await this.#engine.publish(channel, encodeSignal(kind, fields));
      return true;
    } catch {
      return false;
    }
  }

  /** @param isVital Whether an engine that does not answer this in time is to be connected to anew. */
  async #inTime<T>(
    { clock, limits }: BackplaneContext,
    link: EngineState,
    answer: Promise<T>,
    isVital: boolean,
  ): Promise<T> {
    const { connectionNumber } = link;
    const answered = await within(clock, limits.backplaneMs, answer);
    if (answered !== timeIsUp) return answered;
    const error = new Error(`${this.#engine.name} did not answer within ${limits.backplaneMs} ms`);
    if (isVital && link.connectionNumber === connectionNumber) this.#restart(link, error);
    throw error;
  }

  #restart(link: EngineState, error: Error): void {
    if (link.isUp && !this.#isStopping) this.#engine.restart(error);
  }
}

/** Takes what is published while the other nodes cannot be reached. */
function takeHere(receiver: Receiver, topic: Topic, message: NodeMessage): void {
  if ("closing" in message) receiver.onCloseAll(topic, message.closing);
  else receiver.onDelivery(topic, message.delivery);
}

function closed(): EnfiladeError {
  return new EnfiladeError("ERR_APP_STATE", "the app is closed, and its backplane publishes nothing any more");
}

/** Ids of users may hold half a surrogate pair, which UTF-8 has no form for: two of them must not become one channel. */
function channelOf(topic: Topic): string {
  return /\p{Surrogate}/u.test(topic) ? `json:${JSON.stringify(topic)}` : topic;
}
