import { WebSocket } from "ws";
import type { App, Position } from "../../src/index.js";
import type { Observation, Observer } from "./publicationLog.js";

/** A member that waits for its next observations. */
interface Member extends Observer {
  has(id: string): boolean;
}

/** Observations, and the ids among them. */
class ObservationLog {
  readonly all: Observation[] = [];
  readonly faults: string[] = [];
  readonly #ids = new Set<string>();

  has(id: string): boolean {
    return this.#ids.has(id);
  }

  got(id: unknown, position: Position): void {
    this.#ids.add(String(id));
    this.all.push({ kind: "got", id: String(id), position });
  }

  reportLoss(why: string): void {
    this.all.push({ kind: "reported", why });
  }
}

/** Server code that subscribes to the room on one node. */
export class SubscriptionMember implements Member {
  readonly #observations = new ObservationLog();
  readonly #end = new AbortController();

  constructor(
    app: App,
    path: string,
    readonly name: string,
  ) {
    this.#listen(app, path).catch((error) => this.#observations.faults.push(`${name} ended with ${error}`));
  }

  get observations(): readonly Observation[] {
    return this.#observations.all;
  }

  get faults(): readonly string[] {
    return this.#observations.faults;
  }

  has(id: string): boolean {
    return this.#observations.has(id);
  }

  close(): void {
    this.#end.abort();
  }

  async #listen(app: App, path: string): Promise<void> {
    const { signal } = this.#end;
    for await (const { data, position, missed } of app.registry.room(path).subscribe({ signal })) {
      if (missed !== undefined) this.#observations.reportLoss(`missed ${missed}`);
      if (position === undefined) this.#observations.faults.push(`${this.name} got ${data} without a position`);
      else this.#observations.got(data, position);
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
  readonly #observations = new ObservationLog();
  readonly #url: string;
  #socket: WebSocket | undefined;
  #position: Position | undefined;
  #isIn = false;
  /** How often it was refused because the engine was away, and how often it recovered everything. */
  refusals = 0;
  recovered = 0;

  /** @param url The URL with its path, and with the user in the query. */
  constructor(
    url: string,
    readonly name: string,
  ) {
    this.#url = url;
    this.#connect();
  }

  get observations(): readonly Observation[] {
    return this.#observations.all;
  }

  get faults(): readonly string[] {
    return this.#observations.faults;
  }

  /** True once it has received its welcome, the history and the greeting of the handler. */
  get isIn(): boolean {
    return this.#isIn;
  }

  has(id: string): boolean {
    return this.#observations.has(id);
  }

  /** Loses its connection, and reconnects at once. */
  reconnect(): void {
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
      this.#observations.faults.push(`${this.name} was closed with ${code}${this.#isIn ? "" : " before it was in"}`);
      return;
    }
    this.refusals += 1;
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
      this.#observations.faults.push(`${this.name} was welcomed without a position`);
    } else if (recovered === true) {
      this.recovered += 1;
    } else {
      if (this.#position !== undefined) this.#observations.reportLoss(`not recovered: ${reason}`);
      this.#checkCount(position, missed);
      this.#position = position;
    }
  }

  #lag({ position, missed }: Frame): void {
    if (missed !== 0) this.#observations.reportLoss("lagged");
    if (position === undefined) return;
    this.#checkCount(position, missed);
    this.#position = position;
  }

  #receive({ data }: Frame, offset: number): void {
    const last = this.#position;
    if (last === undefined) {
      this.#observations.faults.push(`${this.name} got ${data} before its welcome`);
      return;
    }
    if (offset <= last.offset) this.#observations.faults.push(`${this.name} got offset ${offset} after ${last.offset}`);
    if (offset > last.offset + 1) this.#observations.reportLoss("jump");
    this.#position = { epoch: last.epoch, offset };
    this.#observations.got(data, this.#position);
  }

  /** The reported number of missed publications must equal the gap. */
  #checkCount({ epoch, offset }: Position, missed: number | undefined): void {
    const last = this.#position;
    // Between two epochs, the offsets do not show how many are missing.
    if (last === undefined || missed === undefined || last.epoch !== epoch) return;
    if (offset - last.offset !== missed) {
      this.#observations.faults.push(`${this.name} got a report of ${missed} missed from ${last.offset} to ${offset}`);
    }
  }
}
