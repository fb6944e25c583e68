import type { Backplane, CloseCommand, EvictCommand, Gap, PresenceUpdate, Receiver } from "../backplane/backplane.js";
import type { Counts } from "../backplane/counts.js";
import { accountedBytes, Delivery, type HistoryConfig } from "../backplane/delivery.js";
import {
  isRevoked,
  isRoom,
  type RevokedClients,
  type RevokedTopic,
  revokedClientsOf,
  type Topic,
} from "../backplane/topic.js";
import { checkedPolicy, type DeliveryPolicy } from "../connection/policy.js";
import { channels, traces } from "../diagnostics.js";
import { asError, EnfiladeError } from "../errors.js";
import type { Member } from "../protocol/dialect.js";
import { clientKey } from "../protocol/excepted.js";
import { checkedReason } from "../wire/closeCodes.js";
import { escaped } from "../wire/line.js";
import type { RoomPath } from "../wire/path.js";
import type { Payload } from "../wire/payload.js";
import type { Position } from "../wire/position.js";
import { checkSendOptions, type Except, type SendOptions } from "./address.js";
import type { Audiences } from "./audiences.js";
import type { TreeListeners } from "./history/treeListeners.js";
import type { RoomConfig } from "./roomConfig.js";
import type { RoomTable } from "./roomTable.js";

/** The parts of the registry that the publisher needs. */
export interface PublisherDeps {
  readonly backplane: Backplane;
  readonly audiences: Audiences;
  readonly rooms: RoomTable;
  readonly trees: TreeListeners;
  /** The connection with this id; `undefined` if this node has none. */
  readonly memberOf: (id: string) => Member | undefined;
  /** The access of these clients is revoked; their connections were closed. */
  readonly onRevoked: (clients: RevokedClients) => void;
  readonly counts: () => Counts;
  /** Removes members of this node from a room. */
  readonly evict: (path: RoomPath, command: EvictCommand) => void;
  readonly onGap: (path: RoomPath, gap: Gap) => void;
  readonly observer: PublicationObserver;
  /** Receives errors of calls that nothing awaits. */
  readonly onError: (error: unknown) => void;
}

/** Reports publications to the diagnostics channels. */
export interface PublicationObserver {
  /** Whether a tap may match messages to this topic. */
  watchesTopic(topic: Topic): boolean;
  /** Calls `publish`, and returns its result. Called only if the channels have subscribers. */
  observe(topic: Topic, delivery: Delivery, publish: Publish): Promise<Position | undefined>;
}

/** Hands a delivery to the backplane. */
export type Publish = () => Promise<Position | undefined>;

const noIds: readonly string[] = [];

/** Every publication passes here: to the backplane, and from the backplane to the members of this node. */
export class Publisher implements Receiver {
  readonly #deps: PublisherDeps;
  /** The cause of the last outage of the backplane that was reported. */
  #outage: unknown;

  constructor(deps: PublisherDeps) {
    this.#deps = deps;
  }

  /** Resolves when the publication was sent to all nodes, with its position if the room's history keeps it. */
  publish(topic: Topic, payload: Payload, options: SendOptions | undefined): Promise<Position | undefined> {
    const delivery = this.#deliveryOf(topic, payload, options);
    return isObserved() ? this.#publishObserved(topic, delivery) : this.#deps.backplane.publish(topic, delivery);
  }

  /** As {@link publish}, without a result: a failure is reported to the app. */
  send(topic: Topic, payload: Payload, options: SendOptions | undefined): void {
    const delivery = this.#deliveryOf(topic, payload, options);
    const sent = isObserved() ? this.#publishObserved(topic, delivery) : this.#deps.backplane.publish(topic, delivery);
    sent.catch(this.#onUnsent);
  }

  /** Closes all connections of `topic`, on every node. */
  closeAll(topic: Topic, code: number, reason: string): void {
    this.#closeAll(topic, { code, reason: checkedReason(code, reason) }).catch(this.#deps.onError);
  }

  /** Closes connections on every node; rejects with `ERR_BACKPLANE` if those of other nodes may still be open. */
  async revoke(topic: RevokedTopic, code: number, reason: string): Promise<void> {
    await this.#closeAll(topic, { code, reason: checkedReason(code, reason) });
  }

  /** If other nodes cannot be reached, the connections of this node are still closed. */
  async #closeAll(topic: Topic | RevokedTopic, command: CloseCommand): Promise<void> {
    try {
      await this.#deps.backplane.closeAll(topic, command);
    } catch (error) {
      this.onCloseAll(topic, command);
      throw unreached("closed", error);
    }
  }

  /** Removes members from a room, on every node. */
  evict(path: RoomPath, command: EvictCommand): void {
    this.#deps.backplane.evict(path, command).catch((error) => {
      this.onEvict(path, command);
      this.#deps.onError(unreached("evicted", error));
    });
  }

  onDelivery(topic: Topic, delivery: Delivery): void {
    try {
      delivery.isTapped = this.#deps.observer.watchesTopic(topic);
      this.#deps.audiences.find(topic)?.deliver(delivery);
      this.#deps.trees.deliver(topic, delivery);
    } catch (error) {
      // An error with one message must not stop the delivery of the next ones.
      this.#deps.onError(error);
    }
  }

  onCloseAll(topic: Topic | RevokedTopic, command: CloseCommand): void {
    this.#guard(() => this.#closeHere(topic, command));
  }

  onEvict(path: RoomPath, command: EvictCommand): void {
    this.#guard(() => this.#deps.evict(path, command));
  }

  onGap(path: RoomPath, gap: Gap): void {
    this.#guard(() => {
      this.#deps.rooms.get(path)?.reportGap(gap);
      if (gap.missed === 0) return;
      this.#deps.trees.reportGap(path, gap);
      this.#deps.onGap(path, gap);
    });
  }

  onPresence(path: RoomPath, updates: readonly PresenceUpdate[]): void {
    this.#guard(() => this.#deps.rooms.get(path)?.presence?.update(updates));
  }

  onError(error: Error): void {
    this.#deps.onError(error);
  }

  counts(): Counts {
    return this.#deps.counts();
  }

  #publishObserved(topic: Topic, delivery: Delivery): Promise<Position | undefined> {
    const { backplane, observer } = this.#deps;
    return observer.observe(topic, delivery, () => backplane.publish(topic, delivery));
  }

  #deliveryOf(topic: Topic, payload: Payload, options: SendOptions | undefined): Delivery {
    checkSendOptions(options);
    const requested = checkedPolicy(options?.policy);
    const except = options?.except === undefined ? noIds : this.#exceptedBy(options.except);
    const config = isRoom(topic) ? this.#deps.rooms.configOf(topic) : undefined;
    const policy = requested ?? config?.policy;
    const history = isKept(options, policy, config) ? config?.history : undefined;
    // Throws to the sender if the event protocol of the room cannot encode the event, before history keeps it.
    if (config !== undefined) payload.in(config.eventProtocol);
    if (history !== undefined) checkSize(payload, history.bytesMax);
    const id = options?.id === undefined ? undefined : checkedId(options.id, history);
    return new Delivery({ payload, except, policy, history, id });
  }

  /** The ids of excepted connections, and the names of their clients, so that history replays it to neither. */
  #exceptedBy(except: Except): readonly string[] {
    const ids = exceptedIds(except);
    const names = ids.flatMap((id) => this.#deps.memberOf(id)?.dialect.clientName ?? []);
    return names.length === 0 ? ids : [...ids, ...names.map(clientKey)];
  }

  #closeHere(topic: Topic | RevokedTopic, { code, reason }: CloseCommand): void {
    if (isRevoked(topic)) {
      const clients = revokedClientsOf(topic);
      for (const member of this.#membersOf(clients)) member.close(code, reason);
      this.#deps.onRevoked(clients);
      return;
    }
    const audience = this.#deps.audiences.find(topic);
    for (const member of [...(audience?.members ?? [])]) member.close(code, reason);
    audience?.endSubscriptions();
  }

  #membersOf(clients: RevokedClients): readonly Member[] {
    if ("connection" in clients) {
      const member = this.#deps.memberOf(clients.connection);
      return member === undefined ? [] : [member];
    }
    const topic = "user" in clients ? (`user:${clients.user}` as const) : clients.room;
    return [...(this.#deps.audiences.find(topic)?.members ?? [])];
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#deps.onError(error);
    }
  }

  /** Reports a failed publication that nothing awaits. For one outage of the backplane, reports only the first one. */
  readonly #onUnsent = (thrown: unknown): void => {
    const error = asError(thrown);
    const isOutage = error instanceof EnfiladeError && error.code === "ERR_BACKPLANE";
    if (isOutage && error.cause === this.#outage) return;
    if (isOutage) this.#outage = error.cause;
    this.#deps.onError(error);
  };
}

/** The error of a command that may not have reached the other nodes; `action` is a participle. */
function unreached(action: string, error: unknown): EnfiladeError {
  const message = `connections on other nodes may not have been ${action}: ${asError(error).message}`;
  return new EnfiladeError("ERR_BACKPLANE", message, { cause: error });
}

/** @throws EnfiladeError `ERR_VALUE` for a message above `bytesMax`: it would remove all others from the history. */
function checkSize(payload: Payload, bytesMax: number): void {
  const bytes = accountedBytes(payload);
  if (bytes <= bytesMax) return;
  const what = `the message counts ${bytes} bytes, above history.bytesMax of its room, ${bytesMax}`;
  throw new EnfiladeError("ERR_VALUE", `${what}; raise it, or send the message with { keep: false }`);
}

/** @throws EnfiladeError `ERR_OPTION` for an id that cannot be used, or without a history that could recognise it. */
function checkedId(id: unknown, history: HistoryConfig | undefined): string {
  if (typeof id !== "string" || !/^[\x21-\x7e]{1,128}$/.test(id)) {
    const came = escaped(id);
    throw new EnfiladeError("ERR_OPTION", `id takes 1 to 128 printable ASCII characters without spaces, got ${came}`);
  }
  if (history !== undefined) return id;
  throw new EnfiladeError(
    "ERR_OPTION",
    "id needs a message that a history keeps: send it to one room, whose route has history: { size: 100 }, without " +
      "keep: false; with the policy skip or latest, pass keep: true",
  );
}

function isObserved(): boolean {
  return channels.published.hasSubscribers || traces.publish.hasSubscribers;
}

/** By default, history does not keep messages that are replaced or skipped: they would push out more important ones. */
function isKept(
  options: SendOptions | undefined,
  policy: DeliveryPolicy | undefined,
  config: RoomConfig | undefined,
): boolean {
  const keep: unknown = options?.keep;
  if (keep === undefined) return policy === undefined || policy.kind === "reliable";
  if (typeof keep !== "boolean") throw new EnfiladeError("ERR_OPTION", `keep takes a boolean, got ${typeof keep}`);
  if (!keep || config?.history !== undefined) return keep;
  throw new EnfiladeError(
    "ERR_OPTION",
    "keep: true needs history: send to a room whose route has history: { size: 100, seconds: 3600 }",
  );
}

function exceptedIds(except: Except): readonly string[] {
  const list: readonly (string | { readonly id: string })[] = Array.isArray(except) ? except : [except];
  return list.map((one) => {
    const id: unknown = typeof one === "string" ? one : one?.id;
    if (typeof id === "string") return id;
    throw new EnfiladeError("ERR_OPTION", `except takes a handler, a connection, an id or a list, got ${typeof one}`);
  });
}
