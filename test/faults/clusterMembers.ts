import { WebSocket } from "ws";
import type { App, Position } from "../../src/index.js";
import type { Seer, Sight } from "./clusterBook.js";

/** A member that waits for its next observations. */
interface Member extends Seer {
  has(id: string): boolean;
}

/** Observations, and the ids among them. */
class Sights {
  readonly all: Sight[] = [];
  readonly faults: string[] = [];
  readonly #ids = new Set<string>();

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  got(id: unknown, position: Position): void {
    this.#ids.add(String(id));
    this.all.push({ kind: "got", id: String(id), position });
  }

  told(why: string): void {
    this.all.push({ kind: "told", why });
  }
}

/** Server code that subscribes to the room on one node. */
export class Listening implements Member {
  readonly #sights = new Sights();
  readonly #end = new AbortController();

  constructor(
    app: App,
    path: string,
    readonly name: string,
  ) {
    this.#listen(app, path).catch((error) => this.#sights.faults.push(`${name} ended with ${error}`));
  }

  get sights(): readonly Sight[] {
    return this.#sights.all;
  }

  get faults(): readonly string[] {
    return this.#sights.faults;
  }

  has(id: string): boolean {
    return this.#sights.has(id);
  }

  close(): void {
    this.#end.abort();
  }

  async #listen(app: App, path: string): Promise<void> {
    const { signal } = this.#end;
    for await (const { data, position, missed } of app.registry.room(path).subscribe({ signal })) {
      if (missed !== undefined) this.#sights.told(`missed ${missed}`);
      if (position === undefined) this.#sights.faults.push(`${this.name} got ${data} without a position`);
      else this.#sights.got(data, position);
    }
  }
}

/** A frame of the server, with the fields that this test reads. */
interface Frame {
  readonly type: string;
  readonly data?: unknown;
  readonly offset?: number;
  readonly position?: Position;
  readonly recovered?: boolean;
  readonly reason?: string;
  readonly missed?: number;
}

/** A client of `enfilade.v1` with plain frames. It resumes only when the test says so. */
export class Client implements Member {
  readonly #sights = new Sights();
  readonly #url: string;
  #socket: WebSocket | undefined;
  #position: Position | undefined;
  #isIn = false;
  /** How often it was refused because the engine was away, and how often it recovered everything. */
  turnedAway = 0;
  recovered = 0;

  /** @param url The URL with its path, and with the user in the query. */
  constructor(
    url: string,
    readonly name: string,
  ) {
    this.#url = url;
    this.#connect();
  }

  get sights(): readonly Sight[] {
    return this.#sights.all;
  }

  get faults(): readonly string[] {
    return this.#sights.faults;
  }

  /** True once it has received its welcome, the history and the greeting of the handler. */
  get isIn(): boolean {
    return this.#isIn;
  }

  has(id: string): boolean {
    return this.#sights.has(id);
  }

  /** Loses its connection, and reconnects at once. */
  comeAnew(): void {
    this.#drop();
    this.#connect();
  }

  close(): void {
    this.#drop();
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#isIn = false;
    socket?.terminate();
  }

  #connect(): void {
    const since = this.#position && `&since=${this.#position.epoch}:${this.#position.offset}`;
    const socket = new WebSocket(`${this.#url}${since ?? ""}`, ["enfilade.v1"]);
    this.#socket = socket;
    socket.on("message", (data) => {
      if (this.#socket === socket) this.#take(JSON.parse(String(data)));
    });
    // A close event follows the error of a broken connection.
    socket.on("error", () => undefined);
    socket.on("close", (code) => {
      if (this.#socket === socket) this.#ended(code);
    });
  }

  #ended(code: number): void {
    if (this.#isIn || code !== 1013) {
      this.#sights.faults.push(`${this.name} was closed with ${code}${this.#isIn ? "" : " before it was in"}`);
      return;
    }
    this.turnedAway += 1;
    setImmediate(() => this.#connect());
  }

  #take(frame: Frame): void {
    if (frame.type === "welcome") this.#welcome(frame);
    else if (frame.type === "lagged") this.#lag(frame);
    else if (frame.type === "message" && frame.offset !== undefined) this.#receive(frame, frame.offset);
    else if (frame.type === "message" && frame.data === "hello") this.#isIn = true;
  }

  #welcome({ recovered, position, reason, missed }: Frame): void {
    if (position === undefined) {
      this.#sights.faults.push(`${this.name} was welcomed without a position`);
    } else if (recovered === true) {
      this.recovered += 1;
    } else {
      if (this.#position !== undefined) this.#sights.told(`not recovered: ${reason}`);
      this.#checkCount(position, missed);
      this.#position = position;
    }
  }

  #lag({ position, missed }: Frame): void {
    this.#sights.told("lagged");
    if (position === undefined) return;
    this.#checkCount(position, missed);
    this.#position = position;
  }

  #receive({ data }: Frame, offset: number): void {
    const last = this.#position;
    if (last === undefined) {
      this.#sights.faults.push(`${this.name} got ${data} before its welcome`);
      return;
    }
    if (offset <= last.offset) this.#sights.faults.push(`${this.name} got offset ${offset} after ${last.offset}`);
    if (offset > last.offset + 1) this.#sights.told("jump");
    this.#position = { epoch: last.epoch, offset };
    this.#sights.got(data, this.#position);
  }

  /** The reported number of missed publications must equal the gap. */
  #checkCount({ epoch, offset }: Position, missed: number | undefined): void {
    const last = this.#position;
    if (last === undefined || missed === undefined) return;
    if (last.epoch !== epoch) {
      this.#sights.faults.push(`${this.name} was told of ${missed} missed between two epochs`);
    } else if (offset - last.offset !== missed) {
      this.#sights.faults.push(`${this.name} was told of ${missed} missed from ${last.offset} to ${offset}`);
    }
  }
}
