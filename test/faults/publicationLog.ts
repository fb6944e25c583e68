import type { Position } from "../../src/index.js";

/** An observation of a member, in order: a publication, or a report that some may be missing here. */
export type Observation =
  | { readonly kind: "got"; readonly id: string; readonly position: Position | undefined }
  | { readonly kind: "reported"; readonly why: string; readonly missed?: number | undefined };

/** A member of the room with its observations. */
export interface Observer {
  readonly name: string;
  readonly observations: readonly Observation[];
  /** Errors that it found by itself. */
  readonly faults: readonly string[];
}

/** The numbers of a run, over all members. */
export interface Tally {
  readonly acknowledged: number;
  /** Acknowledged publications that a member did not get, without a report at their place. */
  readonly lostUntold: number;
  /** Publications that the engine still has, and a member did not get. */
  readonly keptNotDelivered: number;
  readonly twice: number;
  readonly outOfOrder: number;
  /** Reports of a loss. */
  readonly told: number;
  /** The first few of what should not be, in words. */
  readonly examples: readonly string[];
}

const examplesMax = 12;

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

  /**
   * Counts what the members missed, got twice, or got in another order than that of the calls.
   *
   * @param kept The publications that the engine has at the end. Every member was there for all of them.
   */
  tally(observers: readonly Observer[], kept: readonly string[]): Tally {
    const order = this.#order();
    const places = new Map(order.map((id, place) => [id, place]));
    const sums = { lostUntold: 0, keptNotDelivered: 0, twice: 0, outOfOrder: 0, told: 0 };
    const examples: string[] = [];
    for (const { name, observations } of observers) {
      const count = (
        what: "lostUntold" | "keptNotDelivered" | "twice" | "outOfOrder",
        ids: readonly string[],
        where = "",
      ) => {
        sums[what] += ids.length;
        if (ids.length === 0 || examples.length >= examplesMax) return;
        examples.push(`${what}: ${name}: ${ids.length}, ${ids[0]} to ${ids.at(-1)} ${where}`.trimEnd());
      };
      let lastId = "the beginning";
      const seen = new Set<string>();
      const callers = new Map<string, number>();
      const covered = new Set<number>();
      let [last, told] = [-1, false];
      for (const observation of observations) {
        if (observation.kind === "reported") {
          sums.told += 1;
          told ||= isTold(observation);
          continue;
        }
        const { id } = observation;
        if (seen.has(id)) {
          count("twice", [id], `after ${lastId}`);
          continue;
        }
        seen.add(id);
        const place = places.get(id);
        const isBehind = place !== undefined && place < last;
        if (isInverted(callers, id) || isBehind) {
          count("outOfOrder", [id], `after ${lastId}${isBehind ? `, and after ${order[last]} by position` : ""}`);
        }
        lastId = id;
        if (place === undefined) continue;
        if (told) for (let at = last + 1; at < place; at += 1) covered.add(at);
        [last, told] = [Math.max(last, place), false];
      }
      if (told) for (let at = last + 1; at < order.length; at += 1) covered.add(at);
      count(
        "lostUntold",
        order.filter((id, at) => !seen.has(id) && !covered.has(at)),
      );
      count(
        "keptNotDelivered",
        kept.filter((id) => !seen.has(id)),
      );
    }
    return { acknowledged: order.length, ...sums, examples };
  }

  /**
   * Reports whose number is not that of the publications which are missing at their place. For a log of everything that
   * was published: a member can also miss publications that were rejected, and not be in the log.
   */
  miscounted(observers: readonly Observer[]): string[] {
    const order = this.#order();
    const places = new Map(order.map((id, place) => [id, place]));
    const examples: string[] = [];
    for (const { name, observations } of observers) {
      let last = -1;
      let told: number | undefined;
      const compare = (place: number) => {
        const missing = Math.max(0, place - last - 1);
        // A report without a number says that the number is not known.
        if (told === undefined || Number.isNaN(told) || told === missing) return;
        examples.push(
          `${name} got a report of ${told} after ${order[last] ?? "the beginning"}; ${missing} are missing`,
        );
      };
      for (const observation of observations) {
        if (observation.kind === "reported") {
          told = (told ?? 0) + (observation.missed ?? Number.NaN);
          continue;
        }
        const place = places.get(observation.id);
        if (place === undefined) continue;
        compare(place);
        [last, told] = [Math.max(last, place), undefined];
      }
      compare(order.length);
    }
    return examples;
  }

  /** The accepted publications, in the order of their epochs and offsets. */
  #order(): string[] {
    const ranks = ranksOf([...this.#epochs.values()], this.faults);
    const rank = ({ epoch }: Position) => ranks.get(epoch) ?? 0;
    const entries = [...this.#accepted];
    entries.sort(([, a], [, b]) => rank(a) - rank(b) || a.offset - b.offset);
    return entries.map(([id]) => id);
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
        if (position === undefined) continue;
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
        wasReported ||= isTold(observation);
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

/** Whether the server has told of a loss. A client reports a jump of the offsets by itself. */
function isTold(observation: Observation): boolean {
  return observation.kind === "reported" && observation.why !== "jump";
}

function epochsOf({ observations }: Observer): string[] {
  const epochs = observations.flatMap((observation) =>
    observation.kind === "got" && observation.position !== undefined ? [observation.position.epoch] : [],
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

/** Whether a publication `<publisher>-<number>` came after a later one of its publisher. */
function isInverted(callers: Map<string, number>, id: string): boolean {
  const at = id.lastIndexOf("-");
  const [caller, number] = [id.slice(0, at), Number(id.slice(at + 1))];
  if (at === -1 || !Number.isInteger(number)) return false;
  const last = callers.get(caller) ?? -1;
  callers.set(caller, Math.max(last, number));
  return number < last;
}

function keyOf({ epoch, offset }: Position): string {
  return `${epoch}:${offset}`;
}
