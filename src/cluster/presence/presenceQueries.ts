import type { PresenceEntry, PresenceUpdate } from "../../backplane/backplane.js";
import type { Clock } from "../../connection/clock.js";
import type { RoomPath } from "../../wire/path.js";
import { PresenceQuestion } from "./presenceQuestion.js";

/** A query for a room that is not open on this node. */
interface PresenceQuery {
  readonly question: PresenceQuestion;
  readonly found: PresenceUpdate[];
}

export interface PresenceQueriesDeps {
  readonly clock: Clock;
  /** The nodes that can be asked now. */
  readonly otherNodes: () => readonly string[];
  readonly ask: (node: string, path: RoomPath) => void;
}

/**
 * Reads the presence of rooms that are not open on this node. Queries for one room at the same time share an answer.
 */
export class PresenceQueries {
  readonly #deps: PresenceQueriesDeps;
  readonly #queries = new Map<RoomPath, PresenceQuery>();

  constructor(deps: PresenceQueriesDeps) {
    this.#deps = deps;
  }

  async read(path: RoomPath): Promise<readonly PresenceUpdate[]> {
    const query = this.#queries.get(path) ?? this.#begin(path);
    await query.question.answered;
    if (this.#queries.get(path) === query) this.#queries.delete(path);
    return query.found;
  }

  /** A node has sent its presence in a room. */
  onState(path: RoomPath, node: string, entries: ReadonlyMap<string, PresenceEntry>): void {
    const query = this.#queries.get(path);
    if (query?.question.isOpenFor(node) !== true) return;
    for (const [key, entry] of entries) query.found.push({ node, key, entry });
    query.question.close(node);
  }

  /** A node has answered that the room is not open there. */
  onLeft(path: RoomPath, node: string): void {
    this.#queries.get(path)?.question.close(node);
  }

  forget(node: string): void {
    for (const { question } of this.#queries.values()) question.close(node);
  }

  stopWaiting(): void {
    for (const { question } of this.#queries.values()) question.end();
  }

  #begin(path: RoomPath): PresenceQuery {
    const { otherNodes, clock, ask } = this.#deps;
    const question = new PresenceQuestion(otherNodes(), clock);
    const query = { question, found: [] };
    this.#queries.set(path, query);
    for (const node of question.nodes) ask(node, path);
    return query;
  }
}
