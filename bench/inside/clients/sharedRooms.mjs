// Clients that are in one room each, or in many. All count their messages; some of them check the numbers.
import { randomBytes } from "node:crypto";
import { nowMs } from "../../clock.mjs";
import { answerBy, clientFrame, RawClient, settings } from "./contract.mjs";

const { rooms, members, roomsEach } = settings;
/** Every so many clients, one checks the number of each message. */
const checkEach = 10;
/** Sockets that connect at the same time. */
const connecting = 100;
const field = Buffer.from('"n":');
const digits = 7;
const firstNumber = 1_000_000;

/** @type {(() => void) | undefined} */
let onAll;
let missing = 0;
let [begunMs, begunCpu] = [0, process.cpuUsage()];

class RoomsClient {
  #socket;
  #isChecking;
  #rest = Buffer.alloc(0);
  #rooms;
  #received = 0;
  #onWelcome;
  welcomed;

  /** @param {readonly string[]} paths One path, with a socket of its own; or the rooms of a socket. */
  constructor(paths, isShared, isChecking) {
    this.#isChecking = isChecking;
    this.#rooms = paths.length;
    this.welcomed = new Promise((resolve) => {
      this.#onWelcome = resolve;
    });
    this.#socket = new RawClient((bytes) => this.#receive(bytes));
    // As enfilade/client does: it has an id of its own in each room.
    const query = () => `client=${randomBytes(16).toString("base64url")}`;
    if (!isShared) this.#socket.upgrade(`${paths[0]}?${query()}`, "enfilade.v1");
    else {
      this.#socket.upgrade("/", "enfilade.v1.rooms");
      for (const room of paths) this.#socket.write(clientFrame(JSON.stringify({ type: "open", room, query: query() })));
    }
  }

  #receive(bytes) {
    this.#onWelcome();
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

  /** Each room gets each number once. */
  #check(number) {
    const expected = firstNumber + Math.floor(this.#received / this.#rooms);
    if (number !== expected) throw new Error(`a client got ${number}, expected ${expected}`);
    this.#received += 1;
  }
}

/** The paths of each client: every room has `members` clients. */
function pathsOfClients() {
  const paths = Array.from({ length: members }, () => Array.from({ length: rooms }, (_, n) => `/room/${n}`)).flat();
  const each = Math.max(1, roomsEach);
  return Array.from({ length: paths.length / each }, (_, n) => paths.slice(n * each, (n + 1) * each));
}

async function connectAll() {
  const all = pathsOfClients();
  for (let n = 0; n < all.length; n += connecting) {
    const some = all.slice(n, n + connecting);
    await Promise.all(some.map((paths, at) => new RoomsClient(paths, roomsEach > 0, at % checkEach === 0).welcomed));
  }
  [begunMs, begunCpu] = [nowMs(), process.cpuUsage()];
}

answerBy(async ({ first, connect, receive = 0 }) => {
  if (first) return new RoomsClient(["/first"], roomsEach > 0, false).welcomed;
  if (connect) return connectAll();
  if (receive > 0) {
    missing += receive;
    if (missing > 0) {
      await new Promise((resolve) => {
        onAll = resolve;
      });
    }
    onAll = undefined;
    return receive - missing;
  }
  const { user, system } = process.cpuUsage(begunCpu);
  return { idleShare: 1 - (user + system) / 1000 / (nowMs() - begunMs) };
});
