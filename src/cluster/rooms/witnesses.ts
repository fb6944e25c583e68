import { isRoom } from "../../backplane/topic.js";
import { type Clock, type Deferred, deferred, type Timer } from "../../connection/clock.js";
import type { RoomPath } from "../../wire/path.js";
import type { Fields } from "../nodeMessage.js";

export interface WitnessesDeps {
  /** The id of this node. */
  readonly id: string;
  readonly clock: Clock;
  /** Milliseconds for the other nodes to answer. */
  readonly answerMs: number;
  /** The other nodes that may have received what this node has not. */
  readonly others: () => readonly string[];
  readonly send: (node: string, kind: string, fields: object) => void;
  /** The last offset that this node has received from `epoch` on, before `later`; `undefined` if it knows none. */
  readonly seenHere: (path: RoomPath, epoch: string, later: readonly string[]) => number | undefined;
}

interface Question {
  readonly path: RoomPath;
  readonly epoch: string;
  /** The epochs after it, as the engine says. */
  readonly later: readonly string[];
  readonly answered: Deferred<number | undefined>;
  /** The nodes that have not answered. */
  readonly waitingFor: Set<string>;
  /** The last offset that any node has received; `undefined` if none of them knows the epoch. */
  offset: number | undefined;
}

/** The number of questions in one message. */
const questionsMax = 200;
/** Milliseconds that a question without a full answer is not asked again. */
const unansweredMs = 10_000;
/** The number of such questions that are kept. */
const unansweredMax = 10_000;

/**
 * Finds out what an engine has lost when it began a new epoch: asks the other nodes for the last offset of the old
 * epoch that they have received. Nodes that cannot be reached yet are asked again when they are back.
 */
export class Witnesses {
  readonly #deps: WitnessesDeps;
  readonly #questions = new Map<string, Question>();
  /** The questions of this turn of the event loop. */
  #unsent: Question[] = [];
  readonly #timers = new Set<Timer>();
  /** When questions were asked that a node did not answer. */
  readonly #unanswered = new Map<string, number>();
  #hasEnded = false;

  constructor(deps: WitnessesDeps) {
    this.#deps = deps;
  }

  /**
   * Resolves with the last offset that any node has received from `epoch` on, before `later`; `undefined` if none of
   * them knew `epoch`, or if one does not answer in time.
   */
  ask(path: RoomPath, epoch: string, later: readonly string[]): Promise<number | undefined> {
    const key = keyOf(path, epoch, later);
    const known = this.#questions.get(key);
    if (known !== undefined) return known.answered.promise;
    const askedAt = this.#unanswered.get(key);
    const isRecent = askedAt !== undefined && this.#deps.clock.now() - askedAt < unansweredMs;
    if (this.#hasEnded || isRecent) return Promise.resolve(undefined);
    const waitingFor = new Set(this.#deps.others());
    const offset = this.#deps.seenHere(path, epoch, later);
    if (waitingFor.size === 0) return Promise.resolve(offset);
    const question: Question = { path, epoch, later, answered: deferred<number | undefined>(), waitingFor, offset };
    this.#questions.set(key, question);
    if (this.#unsent.push(question) === 1) setImmediate(() => this.#sendAll());
    return question.answered.promise;
  }

  /** Receives a signal. Returns false if it is malformed, `undefined` if it is of another kind. */
  receive(kind: unknown, { node, rooms }: Fields): boolean | undefined {
    if (kind !== "seen?" && kind !== "seen") return undefined;
    if (typeof node !== "string" || !Array.isArray(rooms)) return false;
    const entries = rooms.map(entryOf);
    const valid = entries.filter((entry) => entry !== undefined);
    if (valid.length < entries.length) return false;
    if (kind === "seen") for (const entry of valid) this.#onAnswer(node, entry);
    else this.#answer(node, valid);
    return true;
  }

  /** A node is back: asks it what it could not answer before. */
  onHeartbeat(node: string): void {
    if (this.#questions.size === 0) return;
    this.#send(
      node,
      [...this.#questions.values()].filter(({ waitingFor }) => waitingFor.has(node)),
    );
  }

  /** @param isSilent True if the node may have received what no other node has. */
  onLost(node: string, isSilent: boolean): void {
    for (const question of [...this.#questions.values()]) {
      if (!question.waitingFor.delete(node)) continue;
      if (isSilent) this.#giveUp(question);
      else if (question.waitingFor.size === 0) this.#settle(question, question.offset);
    }
  }

  end(): void {
    this.#hasEnded = true;
    for (const timer of this.#timers) timer.cancel();
    for (const question of [...this.#questions.values()]) this.#settle(question, undefined);
  }

  #sendAll(): void {
    const questions = this.#unsent;
    this.#unsent = [];
    if (this.#hasEnded) return;
    for (const node of new Set(questions.flatMap(({ waitingFor }) => [...waitingFor]))) this.#send(node, questions);
    const timer = this.#deps.clock.setTimeout(() => {
      this.#timers.delete(timer);
      for (const question of questions) if (question.waitingFor.size > 0) this.#giveUp(question);
    }, this.#deps.answerMs);
    this.#timers.add(timer);
  }

  #send(node: string, questions: readonly Question[]): void {
    for (let index = 0; index < questions.length; index += questionsMax) {
      const rooms = questions.slice(index, index + questionsMax).map(({ path, epoch, later }) => [path, epoch, later]);
      this.#deps.send(node, "seen?", { node: this.#deps.id, rooms });
    }
  }

  #answer(node: string, entries: readonly Entry[]): void {
    const { id, send, seenHere } = this.#deps;
    const rooms = entries.map(([path, epoch, later]) => [path, epoch, later, seenHere(path, epoch, later)]);
    send(node, "seen", { node: id, rooms });
  }

  #onAnswer(node: string, [path, epoch, later, offset]: Entry): void {
    const question = this.#questions.get(keyOf(path, epoch, later));
    if (question === undefined) return;
    if (offset !== undefined) question.offset = Math.max(question.offset ?? 0, offset);
    question.waitingFor.delete(node);
    if (question.waitingFor.size === 0) this.#settle(question, question.offset);
  }

  #giveUp(question: Question): void {
    const { path, epoch, later } = question;
    if (this.#unanswered.size >= unansweredMax) this.#unanswered.clear();
    this.#unanswered.set(keyOf(path, epoch, later), this.#deps.clock.now());
    this.#settle(question, undefined);
  }

  #settle({ path, epoch, later, answered }: Question, offset: number | undefined): void {
    this.#questions.delete(keyOf(path, epoch, later));
    answered.resolve(offset);
  }
}

type Entry = readonly [path: RoomPath, epoch: string, later: readonly string[], offset: number | undefined];

function entryOf(value: unknown): Entry | undefined {
  if (!Array.isArray(value)) return undefined;
  // JSON has `null` for an offset that is not known.
  const [path, epoch, later, offset]: readonly unknown[] = value;
  if (typeof path !== "string" || !isRoom(path) || typeof epoch !== "string" || !isTexts(later)) return undefined;
  if (offset === undefined || offset === null) return [path, epoch, later, undefined];
  return typeof offset === "number" && Number.isSafeInteger(offset) ? [path, epoch, later, offset] : undefined;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}

function keyOf(path: RoomPath, epoch: string, [next = ""]: readonly string[]): string {
  return `${path} ${epoch} ${next}`;
}
