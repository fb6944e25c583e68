import { randomBytes } from "node:crypto";
import { type Timer, timeIsUp, within } from "../connection/clock.js";
import { asError, EnfiladeError } from "../errors.js";
import type { RoomPath } from "../wire/path.js";
import type { Position } from "../wire/position.js";
import { Archive } from "./archive.js";
import type {
  Backplane,
  BackplaneSetting,
  BackplaneStatus,
  Closing,
  Delivery,
  HistoryTerms,
  Holders,
  Kept,
  KeptQuery,
  Receiver,
  RosterChange,
  RosterEntry,
} from "./backplane.js";
import { splitParcels } from "./batch.js";
import { type Counts, noCounts } from "./counts.js";
import type { Engine } from "./engine.js";
import { Followers } from "./followers.js";
import { Link } from "./link.js";
import { beatOf, Nodes } from "./nodes.js";
import { Outgoing } from "./outgoing.js";
import { decodeParcel, decodeSignal, encodeParcel, encodeSignal, type Fields, type Parcel } from "./parcel.js";
import { Rosters } from "./rosters.js";
import { Subscriptions } from "./subscriptions.js";
import { baseOf, isRoom, isTree, type Topic } from "./topic.js";

/** Heard by every node: what is for a room and all below it, and signs of life. */
const treesChannel = "trees";
const nodesChannel = "nodes";
const rosterPrefix = "roster:";
/** Times `backplaneMs` that an attempt to connect may take. */
const patienceTimes = 3;
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
  #tidying: Timer | undefined;
  #patience: Timer | undefined;
  #malformed = 0;
  /** It has taken leave of the others, and tells them nothing more. */
  #isStopping = false;

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
      failed: (error) => receiver.report(run.outgoing.fault("a channel cannot be heard", error)),
    });
    this.#beImpatient(run);
    this.#tidyLater(run);
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

  publish(topic: Topic, delivery: Delivery): Promise<Position | undefined> {
    const { history } = delivery;
    if (history === undefined || !isRoom(topic)) return this.#post(topic, { delivery });
    if (this.#run === undefined) return Promise.reject(closed());
    const parcel = encodeParcel({ parcel: { delivery }, below: undefined });
    return this.#run.outgoing.append({ path: topic, history }, parcel);
  }

  dismiss(topic: Topic, closing: Closing): Promise<void> {
    return this.#post(topic, { closing });
  }

  async since(path: RoomPath, query: KeptQuery, history: HistoryTerms): Promise<Kept> {
    return this.#running.followers.since({ path, history }, query);
  }

  attend(path: RoomPath, key: string, entry: RosterEntry | undefined): Promise<unknown> | undefined {
    if (this.#run === undefined) return undefined;
    const { rosters, subscriptions } = this.#run;
    if (!rosters.has(path)) void subscriptions.add(rosterPrefix + path);
    return rosters.attend(path, key, entry);
  }

  holders(path: RoomPath): Holders {
    return { self: this.#run?.id ?? "", others: this.#run?.rosters.holders(path) ?? [] };
  }

  async roster(path: RoomPath): Promise<readonly RosterChange[]> {
    const { link, outgoing, rosters } = this.#running;
    if (!link.isUp) throw outgoing.fault("who is on other nodes is not known until it is back", link.outage);
    return rosters.look(path);
  }

  others(): Counts {
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
        ...(this.#run?.followers.counts ?? { healed: 0, lagged: 0 }),
        unpublished: this.#run?.outgoing.failures ?? 0,
      },
    };
  }

  async stop(): Promise<void> {
    const run = this.#run;
    if (run === undefined) return;
    const { clock } = run.setting;
    run.nodes.end();
    this.#isStopping = true;
    run.followers.end();
    this.#tidying?.cancel();
    this.#patience?.cancel();
    // What was published last is to leave; an engine that does not answer is not waited for.
    if (run.link.isUp) await within(clock, stopMs, run.outgoing.idle());
    this.#run = undefined;
    this.#topics.clear();
    run.subscriptions.lose();
    run.outgoing.forget();
    run.link.fall(new Error("the app is closed"));
    this.#patience?.cancel();
    await within(clock, stopMs, this.#engine.stop());
    this.#isStopping = false;
  }

  get #running(): Run {
    if (this.#run !== undefined) return this.#run;
    throw closed();
  }

  #makeRun(receiver: Receiver, setting: BackplaneSetting): Run {
    const { clock, limits } = setting;
    const { backplaneMs, backplaneBytesMax, nodeHeartbeatMs: heartbeatMs } = limits;
    const id = randomBytes(9).toString("base64url");
    const link = new Link();
    // Until the first attempt to connect is decided, everything waits for it.
    const heard = (channel: string) => subscriptions.heard(link.state === "connecting" ? nodesChannel : channel);
    const outgoing = new Outgoing({ engine: this.#engine, clock, link, backplaneMs, backplaneBytesMax, heard });
    const failed = (error: unknown) => {
      if (link.isUp) receiver.report(outgoing.fault("a channel cannot be heard", asError(error)));
    };
    const subscriptions: Subscriptions = new Subscriptions({ engine: this.#engine, failed });
    const tell = (channel: string, kind: string, fields: object) => void this.#tell(channel, kind, fields);
    const rosters: Rosters = new Rosters({
      ...{ id, clock },
      neighbours: () => (link.isUp ? nodes.answering : []),
      tellRoom: (path, kind, fields) => tell(rosterPrefix + path, kind, fields),
      tellNode: (node, kind, fields) => tell(`node:${node}`, kind, fields),
      present: (path, changes) => receiver.present(path, changes),
    });
    const beat = (channel: string, marks: ReturnType<Rosters["marks"]>) =>
      this.#tell(channel, "beat", { node: id, counts: receiver.counts(), ...marks });
    const sayAlive = async () => {
      for (let beats = 1; beats === 1 || (rosters.isMarked && beats <= beatsMax); beats += 1) {
        const marks = rosters.marks();
        if (await beat(nodesChannel, marks)) continue;
        rosters.unmark(marks);
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
        rosters.askAll(node);
      },
      gone: (node) => rosters.forget(node),
      deaf: () => this.#restart(link, new Error(`this node does not hear what it publishes to ${this.#engine.name}`)),
    });
    const inTime = <T>(answer: Promise<T>) => this.#inTime(setting, link, answer, true);
    const archive = new Archive({
      ...{ engine: this.#engine, link, outgoing },
      // Much may be kept, and take its time; that the engine is there is seen by other things.
      inTime: (answer) => this.#inTime(setting, link, answer, false),
      decided: () => (link.state === "connecting" ? subscriptions.heard(nodesChannel) : undefined),
      malformed: (path) => this.#onMalformed(receiver, path),
    });
    const followers = new Followers({ engine: this.#engine, link, archive, outgoing, receiver, setting, inTime });
    return { id, setting, receiver, link, outgoing, subscriptions, nodes, rosters, followers };
  }

  #onUp(run: Run): void {
    if (run !== this.#run) return;
    this.#patience?.cancel();
    run.link.rise();
    this.#hearAgain(run).catch((error) => run.receiver.report(asError(error)));
  }

  async #hearAgain(run: Run): Promise<void> {
    const { life } = run.link;
    await run.subscriptions.renew();
    if (run !== this.#run || !run.link.isUp || run.link.life !== life) return;
    run.nodes.begin();
    for (const node of run.nodes.answering) run.rosters.askAll(node);
    await run.followers.compareAll();
  }

  #onDown(run: Run, error: Error): void {
    if (run !== this.#run) return;
    const isNews = run.link.fall(error);
    this.#beImpatient(run);
    run.nodes.pause();
    run.subscriptions.lose();
    run.outgoing.forget();
    run.followers.giveUp(run.outgoing.fault("what is kept cannot be read now", error));
    run.rosters.release();
    if (isNews) run.receiver.report(run.outgoing.fault("it cannot be reached, and is tried again until it can", error));
  }

  /** An engine that takes a connection and says nothing is tried anew. */
  #beImpatient(run: Run): void {
    const { clock, limits } = run.setting;
    this.#patience?.cancel();
    this.#patience = clock.setTimeout(() => {
      this.#engine.restart(new Error(`it did not speak within ${patienceTimes * limits.backplaneMs} ms`));
    }, patienceTimes * limits.backplaneMs);
  }

  #tidyLater(run: Run): void {
    const { clock, random } = run.setting;
    this.#tidying = clock.setTimeout(
      () => {
        this.#tidyLater(run);
        if (!run.link.isUp) return;
        this.#engine
          .tidy?.()
          .catch((error) => run.receiver.report(run.outgoing.fault("it could not be tidied", error)));
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
    for (const [index, parcel] of splitParcels(bytes).entries()) {
      this.#onParcel(run, channel, parcel, position && { ...position, offset: position.offset + index });
    }
  }

  #onParcel(run: Run, channel: string, bytes: Uint8Array, position: Position | undefined): void {
    const addressed = decodeParcel(bytes);
    const isForTree = channel === treesChannel;
    const topic: Topic | undefined = isForTree
      ? addressed?.below && `below:${addressed.below}`
      : this.#topics.get(channel);
    if (addressed === undefined || (isForTree && topic === undefined)) this.#onMalformed(run.receiver, channel);
    else if (topic !== undefined) this.#take(run, topic, addressed.parcel, position);
  }

  #take({ receiver, followers }: Run, topic: Topic, parcel: Parcel, position: Position | undefined): void {
    if ("closing" in parcel) {
      const close = () => receiver.dismiss(topic, parcel.closing);
      // Behind whatever was published before, some of which may have to be read.
      if (!isRoom(topic) || !followers.behind(topic, close)) close();
      return;
    }
    const { delivery } = parcel;
    const isFollowed = position !== undefined && isRoom(topic) && followers.take(topic, { ...delivery, position });
    if (!isFollowed) receiver.deliver(topic, delivery);
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
      return run.rosters.hear(
        channel.startsWith(rosterPrefix) ? channel.slice(rosterPrefix.length) : path,
        kind,
        fields,
      );
    }
    const beat = beatOf(fields);
    if (beat === undefined) return false;
    run.rosters.compare(node, beat.rosters);
    run.nodes.hear(beat);
    if (beat.renew && node !== run.id) run.rosters.askAll(node);
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

  #post(topic: Topic, parcel: Parcel): Promise<undefined> {
    const run = this.#run;
    if (run === undefined) return Promise.reject(closed());
    const channel = isTree(topic) ? treesChannel : channelOf(topic);
    const bytes = encodeParcel({ parcel, below: isTree(topic) ? baseOf(topic) : undefined });
    const here = run.setting.onLoss === "local" ? () => takeHere(run.receiver, topic, parcel) : undefined;
    return run.outgoing.post(channel, bytes, here);
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
  async #inTime<T>({ clock, limits }: BackplaneSetting, link: Link, answer: Promise<T>, isVital: boolean): Promise<T> {
    const { life } = link;
    const answered = await within(clock, limits.backplaneMs, answer);
    if (answered !== timeIsUp) return answered;
    const error = new Error(`${this.#engine.name} did not answer within ${limits.backplaneMs} ms`);
    if (isVital && link.life === life) this.#restart(link, error);
    throw error;
  }

  #restart(link: Link, error: Error): void {
    if (link.isUp && !this.#isStopping) this.#engine.restart(error);
  }
}

/** Takes what is published while the other nodes cannot be reached. */
function takeHere(receiver: Receiver, topic: Topic, parcel: Parcel): void {
  if ("closing" in parcel) receiver.dismiss(topic, parcel.closing);
  else receiver.deliver(topic, parcel.delivery);
}

function closed(): EnfiladeError {
  return new EnfiladeError("ERR_APP_STATE", "the app is closed, and its backplane publishes nothing any more");
}

/** Ids of users may hold half a surrogate pair, which UTF-8 has no form for: two of them must not become one channel. */
function channelOf(topic: Topic): string {
  return /\p{Surrogate}/u.test(topic) ? `json:${JSON.stringify(topic)}` : topic;
}
