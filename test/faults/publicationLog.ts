import type { Position } from "../../src/index.js";

/** An observation of a member, in order: a publication, or a report that some may be missing here. */
export type Observation =
  | { readonly kind: "got"; readonly id: string; readonly position: Position }
  | { readonly kind: "reported"; readonly why: string };

/** A member of the room with its observations. */
export interface Observer {
  readonly name: string;
  readonly observations: readonly Observation[];
  /** Errors that it found by itself. */
  readonly faults: readonly string[];
}

interface Entry {
  readonly id: string;
  readonly position: Position;
}

/** Records publications and their results, and compares them with the observations of the members. */
export class PublicationLog {
  /** By id, in the order in which they were accepted. */
  readonly #accepted = new Map<string, Position>();
  /** The epochs in the answers to each publisher, in order. */
  readonly #epochs = new Map<string, string[]>();
  readonly faults: string[] = [];
  rejected = 0;

  get accepted(): number {
    return this.#accepted.size;
  }

  accept(publisher: string, id: string, position: Position | undefined): void {
    if (position === undefined) {
      this.faults.push(`${id} was published without a position`);
      return;
    }
    this.#accepted.set(id, position);
    const epochs = this.#epochs.get(publisher) ?? [];
    this.#epochs.set(publisher, epochs);
    if (epochs.at(-1) !== position.epoch) epochs.push(position.epoch);
  }

  /** All errors in the observations: the first few of each kind. */
  check(observers: readonly Observer[]): string[] {
    const all = [...this.faults, ...observers.flatMap(({ faults }) => faults)];
    const positions = this.#positions(observers, all);
    const ranks = ranksOf([...this.#epochs.values(), ...observers.map(epochsOf)], all);
    const order = [...positions].map(([id, position]): Entry => ({ id, position }));
    const rank = ({ position: { epoch } }: Entry) => ranks.get(epoch) ?? 0;
    order.sort((a, b) => rank(a) - rank(b) || a.position.offset - b.position.offset);
    const places = new Map(order.map(({ id }, place) => [id, place]));
    for (const observer of observers) this.#checkObserver(observer, order, places, all);
    return all.slice(0, 20);
  }

  /** The position of each publication, on which all members have to agree. */
  #positions(observers: readonly Observer[], faults: string[]): Map<string, Position> {
    const positions = new Map(this.#accepted);
    const ids = new Map([...positions].map(([id, position]) => [keyOf(position), id]));
    if (ids.size < positions.size) faults.push(`${positions.size} publications were given ${ids.size} positions`);
    for (const { name, observations } of observers) {
      for (const observation of observations) {
        if (observation.kind === "reported") continue;
        const { id, position } = observation;
        const key = keyOf(position);
        const known = positions.get(id) ?? position;
        if (keyOf(known) !== key) faults.push(`${name} got ${id} at ${key}, which is at ${keyOf(known)}`);
        const there = ids.get(key) ?? id;
        if (there !== id) faults.push(`${name} got ${id} at ${key}, where ${there} is`);
        if (!positions.has(id)) positions.set(id, position);
        ids.set(key, there);
      }
    }
    return positions;
  }

  #checkObserver(
    { name, observations }: Observer,
    order: readonly Entry[],
    places: Map<string, number>,
    faults: string[],
  ): void {
    const seen = new Set<string>();
    let last = -1;
    let wasReported = false;
    for (const observation of observations) {
      if (observation.kind === "reported") {
        wasReported = true;
        continue;
      }
      const place = places.get(observation.id) ?? -1;
      const before = order[last]?.id ?? "the beginning";
      if (seen.has(observation.id)) faults.push(`${name} got ${observation.id} twice, again after ${before}`);
      else if (place < last) faults.push(`${name} got ${observation.id} after ${before}, which is behind it`);
      const missing = order.slice(last + 1, Math.max(place, last + 1)).filter(({ id }) => this.#accepted.has(id));
      if (missing.length > 0 && !wasReported) {
        const [first] = missing;
        const where = `${missing.length} between ${before} and ${observation.id}, the first ${first?.id}`;
        faults.push(`${name} got no report of ${where} at ${first && keyOf(first.position)}`);
      }
      seen.add(observation.id);
      last = Math.max(last, place);
      wasReported = false;
    }
  }
}

function epochsOf({ observations }: Observer): string[] {
  const epochs = observations.flatMap((observation) =>
    observation.kind === "got" ? [observation.position.epoch] : [],
  );
  return epochs.filter((epoch, index) => epoch !== epochs[index - 1]);
}

/** The order of the epochs on which all of these agree. */
function ranksOf(sequences: readonly (readonly string[])[], faults: string[]): Map<string, number> {
  const after = new Map<string, Set<string>>();
  for (const sequence of sequences) {
    for (const [index, epoch] of sequence.entries()) {
      const earlier = after.get(epoch) ?? new Set<string>();
      after.set(epoch, earlier);
      const previous = sequence[index - 1];
      if (previous !== undefined) earlier.add(previous);
    }
  }
  const ranks = new Map<string, number>();
  while (ranks.size < after.size) {
    const next = [...after].find(
      ([epoch, earlier]) => !ranks.has(epoch) && [...earlier].every((one) => ranks.has(one)),
    );
    if (next === undefined) {
      faults.push(`epochs came in orders that differ: ${sequences.map((one) => one.join(" ")).join("; ")}`);
      return ranks;
    }
    ranks.set(next[0], ranks.size);
  }
  return ranks;
}

function keyOf({ epoch, offset }: Position): string {
  return `${epoch}:${offset}`;
}
