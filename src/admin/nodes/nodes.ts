import { randomBytes } from "node:crypto";
import { type Clock, deferred, type Timer } from "../../connection/clock.js";
import { HttpError } from "../../errors.js";
import type { Registry } from "../../room/registry.js";
import type { RoomPath } from "../../wire/path.js";
import type { Signer } from "../access/signer.js";
import { type NodeMessage, readMessage, type SignedMessage } from "./messages.js";
import type { Answer, Args, Method, Told } from "./methods.js";

/** What a node does for the others. */
export interface NodeService {
  /** Answers a question of any node, this one included. */
  answer<Name extends Method>(method: Name, args: Args<Name>): Answer<Name> | Promise<Answer<Name>>;
  /** Receives a message of another node. */
  receive(message: Told, from: string): void;
}

export interface NodesDeps {
  readonly self: string;
  /** The room of the messages between nodes. */
  readonly room: RoomPath;
  readonly registry: Registry;
  readonly signer: Signer;
  readonly clock: Clock;
  readonly answerMs: number;
  readonly service: NodeService;
  /** The number of nodes of the cluster, this one included. */
  readonly nodeCount: () => number;
  readonly report: (error: unknown) => void;
}

/** The answers to a question, by node. */
export interface Answers<T> {
  readonly values: ReadonlyMap<string, T>;
  /** The nodes that did not answer in time. */
  readonly missing: readonly string[];
}

/** A question that waits for its answers. */
interface Pending {
  readonly values: Map<string, unknown>;
  readonly waitingFor: Set<string>;
  readonly done: () => void;
}

/** The admins of all nodes. They talk in a room that no client can enter, and know each other by what they say. */
export class Nodes {
  readonly #deps: NodesDeps;
  readonly #known = new Set<string>();
  readonly #pending = new Map<string, Pending>();
  readonly #ended = new AbortController();
  readonly #met = deferred<void>();
  #meetTimer: Timer | undefined;
  #isAlone = true;

  constructor(deps: NodesDeps) {
    this.#deps = deps;
  }

  /** Joins the room and asks which other nodes there are. Without this call the node is alone. */
  start(): void {
    const { registry, room, clock, answerMs } = this.#deps;
    this.#isAlone = false;
    this.#meetTimer = clock.setTimeout(() => this.#met.resolve(), answerMs);
    const subscription = registry.subscribe(room, { signal: this.#ended.signal });
    void this.#read(subscription);
    void this.#greet();
  }

  /** Leaves the room. The other nodes do not wait for this one any more. */
  close(): void {
    this.#meetTimer?.cancel();
    this.#met.resolve();
    if (!this.#isAlone) this.#publish({ kind: "bye", from: this.#deps.self });
    this.#ended.abort();
    for (const { done } of this.#pending.values()) done();
  }

  /** Asks all nodes, this one included. Never rejects for another node: it is then missing. */
  async askAll<Name extends Method>(method: Name, args: Args<Name>): Promise<Answers<Answer<Name>>> {
    const own = this.#deps.service.answer(method, args);
    // It may be rejected while the other nodes are awaited.
    Promise.resolve(own).catch(() => undefined);
    const { values, missing } = await this.#askOthers(method, args);
    const all = new Map<string, Answer<Name>>([[this.#deps.self, await own]]);
    // Nodes have the same code, so their answers have the type of the method.
    for (const [node, value] of values) all.set(node, value as Answer<Name>);
    return { values: all, missing };
  }

  /**
   * Asks one node.
   *
   * @throws HttpError (as a rejection) 404 for an unknown node, 504 when it does not answer in time.
   */
  async ask<Name extends Method>(node: string, method: Name, args: Args<Name>): Promise<Answer<Name>> {
    if (node === this.#deps.self) return this.#deps.service.answer(method, args);
    if (!this.#isAlone) await this.#met.promise;
    if (!this.#known.has(node)) throw new HttpError(404, "There is no such node");
    const { values } = await this.#askOthers(method, args, node);
    if (!values.has(node)) throw new HttpError(504, "The node did not answer in time");
    // As in askAll.
    return values.get(node) as Answer<Name>;
  }

  /** Sends a message to one node, or to all others. */
  tell(told: Told, to?: string): void {
    if (!this.#isAlone) this.#publish({ kind: "tell", from: this.#deps.self, to, told });
  }

  /** Never rejects: a subscription that fails is repeated by the backplane. */
  async #greet(): Promise<void> {
    const { registry, room, self } = this.#deps;
    // The other nodes answer at once, so this node must be subscribed before.
    await registry.roomState(room)?.subscribed?.catch(() => undefined);
    this.#publish({ kind: "hello", from: self });
  }

  async #askOthers(method: Method, args: unknown, to?: string): Promise<Answers<unknown>> {
    if (this.#isAlone) return { values: new Map(), missing: [] };
    await this.#met.promise;
    const { self, clock, answerMs, nodeCount } = this.#deps;
    // A node that was away, such as one whose engine could not be reached, is known again for the next question.
    if (this.#known.size + 1 < nodeCount()) this.#publish({ kind: "hello", from: self });
    const id = randomBytes(9).toString("base64url");
    const { promise, resolve } = deferred<void>();
    const pending: Pending = {
      values: new Map(),
      waitingFor: new Set(to === undefined ? this.#known : [to]),
      done: resolve,
    };
    if (pending.waitingFor.size === 0) return { values: pending.values, missing: [] };
    this.#pending.set(id, pending);
    const timer = clock.setTimeout(resolve, answerMs);
    this.#publish({ kind: "ask", from: self, to, id, method, args });
    await promise;
    timer.cancel();
    this.#pending.delete(id);
    const missing = [...pending.waitingFor];
    this.#forgetLost(missing);
    return { values: pending.values, missing };
  }

  /** A node that has crashed has not said `bye`, but the backplane then knows fewer nodes. */
  #forgetLost(missing: readonly string[]): void {
    if (this.#known.size < this.#deps.nodeCount()) return;
    for (const node of missing) this.#known.delete(node);
  }

  async #read(publications: AsyncIterable<{ readonly data?: unknown }>): Promise<void> {
    const { signer, report } = this.#deps;
    const isSigned = (text: string, signature: unknown) => signer.isSigned("node", text, signature);
    for await (const { data } of publications) {
      try {
        const message = readMessage(data, isSigned);
        if (message !== undefined && message.from !== this.#deps.self) this.#receive(message);
      } catch (error) {
        report(error);
      }
    }
  }

  #receive(message: NodeMessage): void {
    const { self, service, nodeCount } = this.#deps;
    if (message.kind === "bye") {
      this.#onGone(message.from);
      return;
    }
    this.#known.add(message.from);
    if (this.#known.size + 1 >= nodeCount()) this.#met.resolve();
    switch (message.kind) {
      case "hello":
        this.#publish({ kind: "here", from: self });
        break;
      case "ask":
        if (isFor(self, message.to)) void this.#answer(message);
        break;
      case "tell":
        if (isFor(self, message.to)) service.receive(message.told, message.from);
        break;
      case "answer":
        if (isFor(self, message.to)) this.#onAnswer(message);
    }
  }

  async #answer({ id, from, method, args }: NodeMessage & { readonly kind: "ask" }): Promise<void> {
    const { self, service, report } = this.#deps;
    try {
      // Nodes have the same code, so the arguments have the type of the method.
      const value = await service.answer(method, args as Args<typeof method>);
      this.#publish({ kind: "answer", from: self, to: from, id, value });
    } catch (error) {
      report(error);
    }
  }

  #onAnswer({ id, from, value }: NodeMessage & { readonly kind: "answer" }): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    // JSON has no undefined.
    pending.values.set(from, value);
    pending.waitingFor.delete(from);
    if (pending.waitingFor.size === 0) pending.done();
  }

  #onGone(node: string): void {
    this.#known.delete(node);
    for (const { waitingFor, done } of this.#pending.values()) {
      waitingFor.delete(node);
      if (waitingFor.size === 0) done();
    }
  }

  /** A message that cannot be published is lost: the question it belongs to then has missing nodes. */
  #publish(message: NodeMessage): void {
    const { registry, room, signer } = this.#deps;
    const text = JSON.stringify(message);
    const signed: SignedMessage = { text, signature: signer.sign("node", text) };
    registry
      .room(room)
      .publish(signed)
      .catch(() => undefined);
  }
}

/** @param to The node that a message is for; `undefined`: all. */
function isFor(self: string, to: string | undefined): boolean {
  return to === undefined || to === self;
}
