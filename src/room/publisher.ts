import type { Backplane, CloseCommand, EvictCommand, Gap, PresenceUpdate, Receiver } from "../backplane/backplane.js";
import type { Counts } from "../backplane/counts.js";
import { Delivery } from "../backplane/delivery.js";
import { isRoom, type Topic } from "../backplane/topic.js";
import { checkedPolicy, type DeliveryPolicy } from "../connection/policy.js";
import { channels, traces } from "../diagnostics.js";
import { asError, EnfiladeError } from "../errors.js";
import { clientKey } from "../protocol/excepted.js";
import { checkedReason } from "../wire/closeCodes.js";
import type { RoomPath } from "../wire/path.js";
import type { Payload } from "../wire/payload.js";
import type { Position } from "../wire/position.js";
import { checkSendOptions, type Except, type SendOptions } from "./address.js";
import type { Audiences } from "./audiences.js";
import type { TreeListeners } from "./history/treeListeners.js";
import type { RoomConfig } from "./roomConfig.js";
import type { RoomTable } from "./roomTable.js";

export interface PublisherDeps {
  readonly backplane: Backplane;
  readonly audiences: Audiences;
  readonly rooms: RoomTable;
  readonly trees: TreeListeners;
  /** What the client of a connection calls itself over all its connections. */
  readonly clientNameOf: (id: string) => string | undefined;
  readonly counts: () => Counts;
  /** Takes members of this node out of a room. */
  readonly evict: (path: RoomPath, command: EvictCommand) => void;
  readonly onGap: (path: RoomPath, gap: Gap) => void;
  readonly observer: PublicationObserver;
  /** Takes errors of calls that nothing awaits. */
  readonly onError: (error: unknown) => void;
}

/** Reports publications. Called only where somebody listens. */
export interface PublicationObserver {
  /** Calls `publish`, and returns what it returned. */
  observe(topic: Topic, delivery: Delivery, publish: Publish): Promise<Position | undefined>;
}

/** Hands a delivery to the backplane. */
export type Publish = () => Promise<Position | undefined>;

const nobody: readonly string[] = [];

/** The one way of every publication: out to the backplane, and in from it to the members of this node. */
export class Publisher implements Receiver {
  readonly #deps: PublisherDeps;
  /** What the last refusal of the backplane came of. */
  #outage: unknown;

  constructor(deps: PublisherDeps) {
    this.#deps = deps;
  }

  /** Resolves when the publication is on its way, with its position where it is kept. */
  publish(topic: Topic, payload: Payload, options: SendOptions | undefined): Promise<Position | undefined> {
    const delivery = this.#deliveryOf(topic, payload, options);
    return isObserved() ? this.#publishObserved(topic, delivery) : this.#deps.backplane.publish(topic, delivery);
  }

  /** The same without an answer: a failure is reported. */
  send(topic: Topic, payload: Payload, options: SendOptions | undefined): void {
    const delivery = this.#deliveryOf(topic, payload, options);
    const sent = isObserved() ? this.#publishObserved(topic, delivery) : this.#deps.backplane.publish(topic, delivery);
    sent.catch(this.#onUnsent);
  }

  /** Closes everyone in `topic`, on every node. */
  closeAll(topic: Topic, code: number, reason: string): void {
    const command = { code, reason: checkedReason(code, reason) };
    // Those who can be reached are closed anyway.
    this.#deps.backplane.closeAll(topic, command).catch((error) => {
      this.#closeHere(topic, command);
      this.#reportUnreached("closed", error);
    });
  }

  /** Takes members out of a room, on every node. */
  evict(path: RoomPath, command: EvictCommand): void {
    this.#deps.backplane.evict(path, command).catch((error) => {
      this.onEvict(path, command);
      this.#reportUnreached("evicted", error);
    });
  }

  onDelivery(topic: Topic, delivery: Delivery): void {
    try {
      this.#deps.audiences.find(topic)?.deliver(delivery);
      this.#deps.trees.deliver(topic, delivery);
    } catch (error) {
      // One message must not cost the others theirs.
      this.#deps.onError(error);
    }
  }

  onCloseAll(topic: Topic, command: CloseCommand): void {
    this.#guard(() => this.#closeHere(topic, command));
  }

  onEvict(path: RoomPath, command: EvictCommand): void {
    this.#guard(() => this.#deps.evict(path, command));
  }

  onGap(path: RoomPath, gap: Gap): void {
    this.#guard(() => {
      this.#deps.rooms.get(path)?.reportGap(gap);
      this.#deps.trees.reportGap(path, gap);
      this.#deps.onGap(path, gap);
    });
  }

  onPresence(path: RoomPath, updates: readonly PresenceUpdate[]): void {
    this.#guard(() => this.#deps.rooms.get(path)?.presence?.hear(updates));
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
    const asked = checkedPolicy(options?.policy);
    const except = options?.except === undefined ? nobody : this.#exceptedBy(options.except);
    const config = isRoom(topic) ? this.#deps.rooms.configOf(topic) : undefined;
    const policy = asked ?? config?.policy;
    const history = isKept(options, policy, config) ? config?.history : undefined;
    // What the protocol of the room has no form for is an error of the sender, and nothing is kept of it.
    if (config !== undefined) payload.in(config.eventProtocol);
    return new Delivery({ payload, except, policy, history });
  }

  /** Ids of those who are left out, and names of their clients: one that resumes must not get what was not for it. */
  #exceptedBy(except: Except): readonly string[] {
    const ids = exceptedIds(except);
    const names = ids.flatMap((id) => this.#deps.clientNameOf(id) ?? []);
    return names.length === 0 ? ids : [...ids, ...names.map(clientKey)];
  }

  #closeHere(topic: Topic, { code, reason }: CloseCommand): void {
    const audience = this.#deps.audiences.find(topic);
    for (const member of [...(audience?.members ?? [])]) member.close(code, reason);
    audience?.endSubscriptions();
  }

  /** That a command does not reach connections of other nodes is reported each time. */
  #reportUnreached(what: string, error: unknown): void {
    const message = `connections of other nodes may not be ${what}: ${asError(error).message}`;
    this.#deps.onError(new EnfiladeError("ERR_BACKPLANE", message, { cause: error }));
  }

  #guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#deps.onError(error);
    }
  }

  /** Reports what nothing waits for; of one outage of the backplane only the first publication that it costs. */
  readonly #onUnsent = (thrown: unknown): void => {
    const error = asError(thrown);
    const isOutage = error instanceof EnfiladeError && error.code === "ERR_BACKPLANE";
    if (isOutage && error.cause === this.#outage) return;
    if (isOutage) this.#outage = error.cause;
    this.#deps.onError(error);
  };
}

function isObserved(): boolean {
  return channels.published.hasSubscribers || traces.publish.hasSubscribers;
}

/** What the next message replaces, or what is worthless when it is late, would push out of history what is not. */
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
    "keep: true needs a room whose route has history: { size: 100, seconds: 3600 }",
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
