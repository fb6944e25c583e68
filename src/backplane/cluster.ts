import { randomBytes } from "node:crypto";
import { timeIsUp, within } from "../connection/clock.js";
import { asError, EnfiladeError } from "../errors.js";
import type { RoomPath } from "../wire/path.js";
import type { Position } from "../wire/position.js";
import { Archive } from "./archive.js";
import type {
  Backplane,
  BackplaneSetting,
  BackplaneStatus,
  Closing,
  Counts,
  Delivery,
  HistoryTerms,
  Kept,
  KeptQuery,
  Receiver,
  RosterChange,
  RosterEntry,
} from "./backplane.js";
import type { Engine } from "./engine.js";
import { Followers } from "./followers.js";
import { InTurn } from "./inTurn.js";
import { Link } from "./link.js";
import { beatOf, Nodes } from "./nodes.js";
import { Outgoing } from "./outgoing.js";
import { decodeParcel, decodeSignal, encodeParcel, encodeSignal, type Fields, type Parcel } from "./parcel.js";
import { type RosterMark, Rosters } from "./rosters.js";
import { Subscriptions } from "./subscriptions.js";
import { baseOf, isRoom, isTree, type Topic } from "./topic.js";

/** Heard by every node: what is for a room and all below it, and signs of life. */
const treesChannel = "trees";
const nodesChannel = "nodes";
const rosterPrefix = "roster:";
const refused = "it cannot be reached now, so nothing is published until it is back; see onBackplaneLoss";

/** What lasts from a start to the next stop. */
interface Run {
  /** Names this life of this node. */
  readonly id: string;
  readonly setting: BackplaneSetting;
  readonly receiver: Receiver;
  readonly link: Link;
  readonly outgoing: Outgoing;
  readonly subscriptions: Subscriptions;
  readonly nodes: Nodes;
  readonly rosters: Rosters;
  readonly followers: Followers;
}

/** A backplane of many nodes, over an engine that carries bytes between them: the same over each. */
export class ClusterBackplane implements Backplane {
  readonly #engine: Engine;
  #run: Run | undefined;
  readonly #topics = new Map<string, Topic>();
  /** The last publication of this node to a room that is kept, until it is answered. */
  readonly #appending = new Map<Topic, Promise<unknown>>();
  readonly #turn = new InTurn();
  #renewing = false;
  #malformed = 0;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  start(receiver: Receiver, setting: BackplaneSetting): void {
    if (this.#run !== undefined) {
      throw new EnfiladeError("ERR_OPTION", `a backplane serves one app; call ${this.#engine.name}() for each`);
    }
    const run = this.#makeRun(receiver, setting);
    this.#run = run;
    for (const channel of [treesChannel, nodesChannel, `node:${run.id}`]) void run.subscriptions.add(channel);
    this.#engine.start({
      up: () => this.#onUp(run),
      down: (error) => this.#onDown(run, error),
      message: (channel, bytes, position) => this.#onMessage(run, channel, bytes, position),
      malformed: (channel) => this.#onMalformed(receiver, channel),
    });
  }

  open(topic: Topic, history?: HistoryTerms): Promise<void> | undefined {
    const run = this.#run;
    if (run === undefined) return undefined;
    this.#topics.set(channelOf(topic), topic);
    const heard = run.subscriptions.add(channelOf(topic));
    if (history === undefined || !isRoom(topic)) return heard;
    run.followers.open(topic, history);
    return heard?.then(() => run.followers.begin(topic));
  }

  close(topic: Topic): void {
    const run = this.#run;
    if (run === undefined) return;
    this.#topics.delete(channelOf(topic));
    run.subscriptions.remove(channelOf(topic));
    if (!isRoom(topic)) return;
    run.followers.close(topic);
    if (!run.rosters.has(topic)) return;
    run.rosters.close(topic);
    run.subscriptions.remove(rosterPrefix + topic);
  }

  async publish(topic: Topic, delivery: Delivery): Promise<Position | undefined> {
    const { history } = delivery;
    if (history === undefined || !isRoom(topic)) return this.#send(topic, { delivery });
    const bytes = encodeParcel({ parcel: { delivery }, below: undefined });
    const appended = this.#dispatch(topic, bytes, () => this.#engine.append(topic, bytes, history));
    const known = () => {
      if (this.#appending.get(topic) === settled) this.#appending.delete(topic);
    };
    const settled = appended.then(known, known);
    this.#appending.set(topic, settled);
    return appended;
  }

  async dismiss(topic: Topic, closing: Closing): Promise<void> {
    // What was kept before may take another way.
    const before = this.#appending.get(topic);
    if (before !== undefined) await before;
    await this.#send(topic, { closing });
  }

  async since(path: RoomPath, query: KeptQuery, history: HistoryTerms): Promise<Kept> {
    return this.#running.followers.since({ path, history }, query);
  }

  attend(path: RoomPath, key: string, entry: RosterEntry | undefined): Promise<void> | undefined {
    if (this.#run === undefined) return undefined;
    const { rosters, subscriptions } = this.#run;
    if (!rosters.has(path)) void subscriptions.add(rosterPrefix + path);
    return rosters.attend(path, key, entry);
  }

  async roster(path: RoomPath): Promise<readonly RosterChange[]> {
    return (await this.#run?.rosters.look(path)) ?? [];
  }

  others(): Counts {
    return this.#run?.nodes.sum ?? { connections: 0, rooms: 0, users: 0 };
  }

  status(): BackplaneStatus {
    return {
      ...{ historyRooms: 0, historyBytes: 0, historyEvictions: 0 },
      backplane: {
        engine: this.#engine.name,
        state: this.#run?.link.isUp === true ? "up" : "away",
        nodes: 1 + (this.#run?.nodes.count ?? 0),
        malformed: this.#malformed,
        ...(this.#run?.followers.counts ?? { healed: 0, lagged: 0 }),
        unpublished: this.#run?.outgoing.failures ?? 0,
      },
    };
  }

  async stop(): Promise<void> {
    const run = this.#run;
    if (run === undefined) return;
    run.nodes.end();
    this.#run = undefined;
    run.followers.end();
    this.#topics.clear();
    run.subscriptions.lose();
    await this.#engine.stop();
    run.outgoing.giveUp(new Error("the app was closed"));
  }

  get #running(): Run {
    if (this.#run !== undefined) return this.#run;
    throw new EnfiladeError("ERR_APP_STATE", "the app is closed, and its backplane publishes nothing any more");
  }

  #makeRun(receiver: Receiver, setting: BackplaneSetting): Run {
    const { clock, limits } = setting;
    const { backplaneMs, backplaneBytesMax, nodeHeartbeatMs: heartbeatMs } = limits;
    const id = randomBytes(9).toString("base64url");
    const link = new Link();
    const restart = (error: unknown) => this.#engine.restart(asError(error));
    const outgoing = new Outgoing({
      ...{ name: this.#engine.name, clock, backplaneMs, backplaneBytesMax },
      stalled: restart,
    });
    const subscriptions = new Subscriptions({ engine: this.#engine, failed: restart });
    const tell = (channel: string, kind: string, fields: object) => this.#tell(channel, kind, fields);
    const rosters: Rosters = new Rosters({
      ...{ id, clock },
      neighbours: () => (link.isUp ? nodes.ids : []),
      tellRoom: (path, kind, fields) => tell(rosterPrefix + path, kind, fields),
      tellNode: (node, kind, fields) => tell(`node:${node}`, kind, fields),
      present: (path, changes) => receiver.present(path, changes),
    });
    const beat = (channel: string, marks: readonly RosterMark[]) =>
      tell(channel, "beat", { node: id, counts: receiver.counts(), rosters: marks });
    const nodes: Nodes = new Nodes({
      ...{ id, clock, heartbeatMs },
      beat: () => {
        this.#renewing = false;
        beat(nodesChannel, rosters.marks());
      },
      bye: () => tell(nodesChannel, "bye", { node: id }),
      met: (node) => {
        // It may be new, and not know of this one before its next sign of life.
        beat(`node:${node}`, []);
        tell(`node:${node}`, "renew", {});
      },
      gone: (node) => rosters.forget(node),
      deaf: () => restart(new Error(`this node does not hear what it publishes to ${this.#engine.name}`)),
    });
    const inTime = <T>(answer: Promise<T>) => this.#inTime(setting, answer);
    const archive = new Archive({
      ...{ engine: this.#engine, link, outgoing, inTime },
      decided: () => (link.state === "connecting" ? subscriptions.heard(nodesChannel) : undefined),
      malformed: (path) => this.#onMalformed(receiver, path),
    });
    const followers = new Followers({ engine: this.#engine, link, archive, receiver, setting, inTime });
    return { id, setting, receiver, link, outgoing, subscriptions, nodes, rosters, followers };
  }

  #onUp(run: Run): void {
    if (run !== this.#run) return;
    run.link.rise();
    this.#hearAgain(run).catch((error) => {
      if (run === this.#run && run.link.isUp) this.#engine.restart(asError(error));
    });
  }

  async #hearAgain(run: Run): Promise<void> {
    await run.subscriptions.renew();
    if (!run.link.isUp) return;
    run.nodes.begin();
    run.rosters.renew();
    await run.followers.compareAll();
  }

  #onDown(run: Run, error: Error): void {
    if (run !== this.#run) return;
    const isNews = run.link.fall(error);
    run.nodes.pause();
    run.subscriptions.lose();
    run.outgoing.giveUp(error);
    run.followers.release();
    run.rosters.release();
    if (!isNews) return;
    const message = `${this.#engine.name} cannot be reached (${error.message}); it is tried again until it can`;
    run.receiver.report(new EnfiladeError("ERR_BACKPLANE", message, { cause: error }));
  }

  #onMessage(run: Run, channel: string, bytes: Uint8Array, position: Position | undefined): void {
    if (run !== this.#run) return;
    if (channel === nodesChannel || channel.startsWith("node:") || channel.startsWith(rosterPrefix)) {
      const fields = decodeSignal(bytes);
      if (fields === undefined || !this.#heed(run, channel, fields)) this.#onMalformed(run.receiver, channel);
      return;
    }
    const addressed = decodeParcel(bytes);
    const isForTree = channel === treesChannel;
    const topic: Topic | undefined = isForTree
      ? addressed?.below && `below:${addressed.below}`
      : this.#topics.get(channel);
    if (addressed === undefined || (isForTree && topic === undefined)) this.#onMalformed(run.receiver, channel);
    else if (topic !== undefined) this.#take(run, topic, addressed.parcel, position);
  }

  #take(run: Run, topic: Topic, parcel: Parcel, position: Position | undefined): void {
    if ("closing" in parcel) {
      run.receiver.dismiss(topic, parcel.closing);
      return;
    }
    const { delivery } = parcel;
    const isFollowed = position !== undefined && isRoom(topic) && run.followers.take(topic, { ...delivery, position });
    if (!isFollowed) run.receiver.deliver(topic, delivery);
  }

  /** Whether a signal was understood. */
  #heed(run: Run, channel: string, fields: Fields): boolean {
    const { t: kind, node, path } = fields;
    if (channel.startsWith(rosterPrefix)) {
      const name = channel.slice(rosterPrefix.length);
      return isRoom(name) && run.rosters.hear(name, kind, fields);
    }
    if (kind === "renew") return this.#renewRosters(run);
    if (kind === "bye" && typeof node === "string") {
      run.nodes.leave(node);
      return true;
    }
    if (kind !== "beat") return typeof path === "string" && isRoom(path) && run.rosters.hear(path, kind, fields);
    const beat = beatOf(fields);
    if (beat === undefined) return false;
    run.nodes.hear(beat);
    run.rosters.compare(beat.node, beat.rosters);
    return true;
  }

  /** Once between two signs of life, however many ask. */
  #renewRosters(run: Run): true {
    if (!this.#renewing) run.rosters.renew();
    this.#renewing = true;
    return true;
  }

  #onMalformed(receiver: Receiver, channel: string): void {
    this.#malformed += 1;
    // The first one is worth a report; of all, the status tells the number.
    if (this.#malformed > 1) return;
    const message = `${this.#engine.name} brought a message that is none of this version, on ${JSON.stringify(channel)}`;
    receiver.report(
      new EnfiladeError("ERR_BACKPLANE", `${message}; such messages are ignored, and counted in status()`),
    );
  }

  async #send(topic: Topic, parcel: Parcel): Promise<undefined> {
    const run = this.#running;
    if (run.link.state === "away" && run.setting.onLoss === "local") {
      this.#turn.run(() => this.#take(run, topic, parcel, undefined));
      return;
    }
    const [channel, below] = isTree(topic) ? [treesChannel, baseOf(topic)] : [channelOf(topic), undefined];
    const bytes = encodeParcel({ parcel, below });
    await this.#dispatch(channel, bytes, () => this.#engine.publish(channel, bytes));
  }

  /** Gives bytes to the engine, when this node hears what it publishes: it must not miss its own. */
  #dispatch<T>(channel: string, { length }: Uint8Array, begin: () => Promise<T>): Promise<T> {
    const { outgoing, subscriptions, link } = this.#running;
    if (link.state === "away") return outgoing.refuse(refused, link.outage);
    const heard = subscriptions.heard(channel) ?? (link.isUp ? undefined : subscriptions.heard(nodesChannel));
    if (heard === undefined) return outgoing.send(length, begin);
    const beginHeard = () => {
      if (!link.isUp) throw link.outage;
      return begin();
    };
    return outgoing.send(length, () => heard.then(beginHeard));
  }

  /** A signal that is lost is made up for by the next sign of life. */
  #tell(channel: string, kind: string, fields: object): void {
    if (this.#run?.link.isUp !== true) return;
    const bytes = encodeSignal(kind, fields);
    this.#dispatch(channel, bytes, () => this.#engine.publish(channel, bytes)).catch(() => undefined);
  }

  async #inTime<T>({ clock, limits }: BackplaneSetting, answer: Promise<T>): Promise<T> {
    const answered = await within(clock, limits.backplaneMs, answer);
    if (answered !== timeIsUp) return answered;
    const error = new Error(`${this.#engine.name} did not answer within ${limits.backplaneMs} ms`);
    this.#engine.restart(error);
    throw error;
  }
}

/** Ids of users may hold half a surrogate pair, which UTF-8 has no form for: two of them must not become one channel. */
function channelOf(topic: Topic): string {
  return /\p{Surrogate}/u.test(topic) ? `json:${JSON.stringify(topic)}` : topic;
}
