// Clients that are in one room each, or in many. All count their messages; some of them check the numbers.
import { randomBytes } from "node:crypto";
import { Arrivals, idleShare, receiveAll, startIdleTime } from "./arrivals.mjs";
import { answerBy, clientFrame, RawClient, settings } from "./contract.mjs";

const { rooms, members, roomsEach } = settings;
/** Every so many clients, one checks the number of each message. */
const checkEach = 10;
/** Sockets that connect at the same time. */
const connecting = 100;

class RoomsClient {
  #socket;
  #arrivals;
  #onWelcome;
  welcomed;

  /** @param {readonly string[]} paths One path, with a socket of its own; or the rooms of a socket. */
  constructor(paths, isShared, isChecking) {
    this.#arrivals = new Arrivals(paths.length, isChecking);
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
    this.#arrivals.read(bytes);
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
  startIdleTime();
}

answerBy(async ({ first, connect, receive = 0 }) => {
  if (first) return new RoomsClient(["/first"], roomsEach > 0, false).welcomed;
  if (connect) return connectAll();
  if (receive > 0) return receiveAll(receive);
  return { idleShare: idleShare() };
});
