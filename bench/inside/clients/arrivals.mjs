// The messages that all clients of a process receive: found in the bytes, counted, and checked by their numbers.
import { nowMs } from "../../clock.mjs";

const field = Buffer.from('"n":');
const digits = 7;
const firstNumber = 1_000_000;

/** @type {(() => void) | undefined} */
let onAll;
let missing = 0;
let [begunMs, begunCpu] = [0, process.cpuUsage()];

/** Finds the messages in the bytes of one connection. Each of its rooms gets each number once. */
export class Arrivals {
  #rooms;
  #isChecking;
  #rest = Buffer.alloc(0);
  #received = 0;

  /** @param {number} rooms @param {boolean} isChecking */
  constructor(rooms, isChecking) {
    this.#rooms = rooms;
    this.#isChecking = isChecking;
  }

  /** @param {Buffer} bytes */
  read(bytes) {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    let messages = 0;
    let end = 0;
    for (let at = all.indexOf(field); at !== -1 && at + field.length + digits <= all.length; ) {
      end = at + field.length + digits;
      messages += 1;
      if (this.#isChecking) this.#check(Number(all.toString("latin1", end - digits, end)));
      at = all.indexOf(field, end);
    }
    // The beginning of a field, or of its number.
    this.#rest = Buffer.from(all.subarray(Math.max(end, all.length - field.length - digits)));
    missing -= messages;
    if (messages > 0 && missing <= 0) onAll?.();
  }

  #check(number) {
    const expected = firstNumber + Math.floor(this.#received / this.#rooms);
    if (number !== expected) throw new Error(`a client got ${number}, expected ${expected}`);
    this.#received += 1;
  }
}

/** Waits for so many more messages, and resolves with the number of those that came. */
export async function receiveAll(count) {
  missing += count;
  if (missing > 0) {
    await new Promise((resolve) => {
      onAll = resolve;
    });
  }
  onAll = undefined;
  return count - missing;
}

/** From now on, the idle time counts. */
export function startIdleTime() {
  [begunMs, begunCpu] = [nowMs(), process.cpuUsage()];
}

/** The share of the time that this process was idle. */
export function idleShare() {
  const { user, system } = process.cpuUsage(begunCpu);
  return 1 - (user + system) / 1000 / (nowMs() - begunMs);
}
