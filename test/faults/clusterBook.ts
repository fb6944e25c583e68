import type { Position } from "../../src/index.js";

/** An observation of a member, in order: a publication, or a report that some may be missing here. */
export type Sight =
  | { readonly kind: "got"; readonly id: string; readonly position: Position }
  | { readonly kind: "told"; readonly why: string };

/** A member of the room with its observations. */
export interface Seer {
  readonly name: string;
  readonly sights: readonly Sight[];
  /** Errors that it found by itself. */
  readonly faults: readonly string[];
}

interface Entry {
  readonly id: string;
  readonly position: Position;
}

/** Records publications and their results, and compares them with the observations of the members. */
export class Book {
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
  check(seers: readonly Seer[]): string[] {
    const all = [...this.faults, ...seers.flatMap(({ faults }) => faults)];
    const positions = this.#positions(seers, all);
    const ranks = ranksOf([...this.#epochs.values(), ...seers.map(epochsOf)], all);
    const order = [...positions].map(([id, position]): Entry => ({ id, position }));
    const rank = ({ position: { epoch } }: Entry) => ranks.get(epoch) ?? 0;
    order.sort((a, b) => rank(a) - rank(b) || a.position.offset - b.position.offset);
    const places = new Map(order.map(({ id }, place) => [id, place]));
    for (const seer of seers) this.#checkSeer(seer, order, places, all);
    return all.slice(0, 20);
  }

  /** The position of each publication, on which all members have to agree. */
  #positions(seers: readonly Seer[], faults: string[]): Map<string, Position> {
    const positions = new Map(this.#accepted);
    const ids = new Map([...positions].map(([id, position]) => [keyOf(position), id]));
    if (ids.size < positions.size) faults.push(`${positions.size} publications were given ${ids.size} positions`);
    for (const { name, sights } of seers) {
      for (const sight of sights) {
        if (sight.kind === "told") continue;
        const { id, position } = sight;
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

  #checkSeer({ name, sights }: Seer, order: readonly Entry[], places: Map<string, number>, faults: string[]): void {
    const seen = new Set<string>();
    let last = -1;
    let wasTold = false;
    for (const sight of sights) {
      if (sight.kind === "told") {
        wasTold = true;
        continue;
      }
      const place = places.get(sight.id) ?? -1;
      const before = order[last]?.id ?? "the beginning";
      if (seen.has(sight.id)) faults.push(`${name} got ${sight.id} twice, again after ${before}`);
      else if (place < last) faults.push(`${name} got ${sight.id} after ${before}, which is behind it`);
      const missing = order.slice(last + 1, Math.max(place, last + 1)).filter(({ id }) => this.#accepted.has(id));
      if (missing.length > 0 && !wasTold) {
        const [first] = missing;
        const where = `${missing.length} between ${before} and ${sight.id}, the first ${first?.id}`;
        faults.push(`${name} was not told of ${where} at ${first && keyOf(first.position)}`);
      }
      seen.add(sight.id);
      last = Math.max(last, place);
      wasTold = false;
    }
  }
}

function epochsOf({ sights }: Seer): string[] {
  const epochs = sights.flatMap((sight) => (sight.kind === "got" ? [sight.position.epoch] : []));
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
