import { WebSocket } from "ws";
import {
  type ClientRoom,
  type ClientSocket,
  ConnectError,
  connect,
  connectSocket,
  type Lost,
  type WebSocketConstructor,
} from "../../src/client/index.js";
import { Mailbox } from "../support/app.js";

/** A clock fifty times as fast, so that a client waits for a moment instead of seconds. */
const haste = 50;
export const hastyClock = {
  now: () => haste * performance.now(),
  setTimeout(callback: () => void, ms: number) {
    const timer = setTimeout(callback, ms / haste);
    return { cancel: () => clearTimeout(timer) };
  },
};

/** The class of ws has more than the client needs of a WebSocket, with other types. */
const webSocketOfWs = WebSocket as never as WebSocketConstructor;

/** A client of one room, over a WebSocket of its own. */
export function openRoom(url: string, random: () => number, WebSocketClass = webSocketOfWs): ClientRoom {
  return connect(url, { WebSocket: WebSocketClass, clock: hastyClock, random });
}

/** A client of several rooms, over one WebSocket. */
export function openSocket(url: string, random: () => number): ClientSocket {
  return connectSocket(url, { WebSocket: webSocketOfWs, clock: hastyClock, random });
}

/** Records the messages of a client, and reports errors in them. */
export class CheckingClient {
  readonly faults: string[] = [];
  readonly room: ClientRoom;
  readonly #until = new Mailbox<number>();
  #last: number | undefined;
  #lost: Lost[] = [];
  /** The reasons of its losses, and the number of its recoveries. */
  readonly reports = { lost: new Set<string>(), recovered: 0 };

  constructor(room: ClientRoom, name: string) {
    this.room = room;
    this.room.on("message", ({ data }) => this.#take(Number(data), name));
    this.room.on("lost", (lost) => {
      this.reports.lost.add(lost.reason);
      this.#lost.push(lost);
    });
    this.room.on("recovered", () => {
      this.reports.recovered += 1;
    });
    this.room.on("error", (error) => {
      // A closing server refuses reconnecting clients, and a stopped one cannot be reached; they try again.
      if (!(error instanceof ConnectError && (error.status ?? 503) === 503))
        this.faults.push(`${name} error: ${error.message}`);
    });
  }

  /** Resolves when it has received this number. */
  async reaches(number: number): Promise<void> {
    while (this.#last !== number) await this.#until.have(this.#until.all.length + 1);
  }

  #take(number: number, name: string): void {
    const last = this.#last;
    const lost = this.#lost;
    this.#last = number;
    this.#lost = [];
    if (last !== undefined) {
      const missing = number - last - 1;
      if (missing < 0) this.faults.push(`${name} got ${number} after ${last}`);
      if (missing > 0 && lost.length === 0) this.faults.push(`${name} got no report of ${missing} after ${last}`);
      const known = lost.every(({ missed }) => missed !== undefined);
      const missed = lost.reduce((sum, one) => sum + (one.missed ?? 0), 0);
      if (known && missed !== missing) {
        this.faults.push(`${name} got a report of ${missed} after ${last}, and ${missing} are missing`);
      }
    }
    this.#until.put(number);
  }
}
