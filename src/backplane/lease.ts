import type { RoomPath } from "../wire/path.js";
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
} from "./backplane.js";
import { closedError } from "./closedError.js";
import { type Counts, noCounts } from "./counts.js";
import type { RevokedTopic, Topic } from "./topic.js";

/**
 * The use of a backplane by one app, from `start` to the end of `stop`.
 *
 * A handler may outlast its app. What it does then must not reach the next app with the same backplane: its rooms would
 * be closed there.
 */
export class BackplaneLease implements Backplane {
  readonly claims: Backplane["claims"];
  readonly probe: Backplane["probe"];
  /** Bound, so that no further call is on the way of a publication. */
  publish: Backplane["publish"];
  readonly #backplane: Backplane;
  #hasEnded = false;

  constructor(backplane: Backplane) {
    this.#backplane = backplane;
    this.claims = backplane.claims;
    this.probe = backplane.probe?.bind(backplane);
    this.publish = backplane.publish.bind(backplane);
  }

  start(receiver: Receiver, context: BackplaneContext): void {
    this.#backplane.start(receiver, context);
  }

  async stop(): Promise<void> {
    try {
      await this.#backplane.stop();
    } finally {
      this.#hasEnded = true;
      this.publish = () => Promise.reject(closedError());
    }
  }

  open(topic: Topic, history?: HistoryConfig): Promise<void> | undefined {
    return this.#hasEnded ? undefined : this.#backplane.open(topic, history);
  }

  close(topic: Topic): void {
    if (!this.#hasEnded) this.#backplane.close(topic);
  }

  closeAll(topic: Topic | RevokedTopic, closing: CloseCommand): Promise<void> {
    return this.#hasEnded ? Promise.reject(closedError()) : this.#backplane.closeAll(topic, closing);
  }

  evict(path: RoomPath, command: EvictCommand): Promise<void> {
    return this.#hasEnded ? Promise.reject(closedError()) : this.#backplane.evict(path, command);
  }

  readHistory(path: RoomPath, query: HistoryQuery, history: HistoryConfig): Promise<HistoryPage> {
    return this.#hasEnded ? Promise.reject(closedError()) : this.#backplane.readHistory(path, query, history);
  }

  announce(path: RoomPath, key: string, entry: PresenceEntry | undefined): Promise<unknown> | undefined {
    return this.#hasEnded ? undefined : this.#backplane.announce(path, key, entry);
  }

  reportPresence(path: RoomPath, key: string, isPresent: boolean, report: PresenceReport): void {
    if (!this.#hasEnded) this.#backplane.reportPresence(path, key, isPresent, report);
  }

  nodesInRoom(path: RoomPath): RoomNodes {
    return this.#hasEnded ? { self: "", others: [] } : this.#backplane.nodesInRoom(path);
  }

  readPresence(path: RoomPath): Promise<readonly PresenceUpdate[]> {
    return this.#hasEnded ? Promise.reject(closedError()) : this.#backplane.readPresence(path);
  }

  countsElsewhere(): Counts {
    return this.#hasEnded ? noCounts : this.#backplane.countsElsewhere();
  }

  status(): BackplaneStatus {
    return this.#backplane.status();
  }
}
