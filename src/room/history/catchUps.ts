import type { Delivery, HistoryPage, HistoryQuery } from "../../backplane/backplane.js";
import { type Clock, timeIsUp, within } from "../../connection/clock.js";
import type { Connection } from "../../connection/connection.js";
import { EnfiladeError } from "../../errors.js";
import { CloseCode } from "../../wire/closeCodes.js";
import type { RoomPath } from "../../wire/path.js";
import type { Position } from "../../wire/position.js";
import { controlFrame } from "../../wire/v1.js";
import type { DeliverySink } from "../audience.js";
import { Envelope } from "../envelope.js";
import { Handover, type HandoverDeps } from "./handover.js";
import { type Resumption, recover } from "./recovery.js";
import { TurnScheduler } from "./turnScheduler.js";

/** A client that is told where it begins. */
export interface JoiningClient {
  /** What it had last. */
  readonly since: Position | "invalid" | undefined;
  /** Called once, before anything else of its home is sent. */
  welcome(resumption: Resumption): void;
}

export interface ArrivalsDeps {
  /** Reads what is kept of a room. */
  readonly read: (path: RoomPath, query: HistoryQuery) => Promise<HistoryPage>;
  readonly clock: Clock;
  readonly limits: { readonly subscriberMessagesMax: number; readonly recoverMessagesMax: number };
  /** Called when a connection has what its home kept: it takes for itself what is published. */
  readonly live: (connection: Connection) => void;
}

/** One connection on its way. */
export interface CatchUp {
  /** Takes what is published meanwhile. */
  readonly buffer: DeliverySink;
  /** Sends what is kept; to be called when the stand-in hears. Resolves when the connection is live. */
  run(): Promise<void>;
}

/** How long frames that were made of what is kept are held for the next reader, in milliseconds. */
const envelopesMs = 1_000;

/** How connections come to a home that remembers: with what is kept first, and then what is live. */
export class CatchUps {
  readonly #deps: ArrivalsDeps;
  readonly #turns = new TurnScheduler();
  #envelopes: WeakMap<Delivery, Envelope> | undefined;

  constructor(deps: ArrivalsDeps) {
    this.#deps = deps;
  }

  /** @param replay How many publications one gets that begins anew. */
  begin(connection: Connection, replay: number, newcomer: JoiningClient | undefined): CatchUp {
    const handover = this.#handover(connection, newcomer);
    const read = () => this.#first(connection, replay, newcomer);
    const run = () => handover.run(read).catch((error) => turnAway(connection, error, newcomer !== undefined));
    return { buffer: handover, run };
  }

  #handover(connection: Connection, newcomer: JoiningClient | undefined): Handover {
    const { limits, live } = this.#deps;
    const { outboxBytesMax: bytesMax, highWaterBytes } = connection.limits;
    const losses = newcomer === undefined ? { gap: outrun, skipped: outrun } : lossesOf(connection);
    const handover: Handover = new Handover({
      ...{ ...losses, messagesMax: limits.subscriberMessagesMax, bytesMax },
      turn: () => this.#turns.next(),
      read: (query) => this.#read(connection, query),
      deliver: (delivery, address = connection.request.path) => {
        this.#envelopeOf(delivery, address).sendTo(connection);
        // A long past must not make a client slow that is not.
        return connection.bufferedBytes < highWaterBytes ? undefined : this.#pace(connection, handover);
      },
      live: () => live(connection),
    });
    return handover;
  }

  /** The first that a connection gets of its home. */
  async #first(connection: Connection, replay: number, newcomer: JoiningClient | undefined): Promise<HistoryPage> {
    const read = (query: HistoryQuery) => this.#read(connection, query);
    if (newcomer === undefined) return read({ limit: replay });
    const { recoverMessagesMax: recoverMax } = this.#deps.limits;
    const { kept, resumption } = await recover({ read, replay, recoverMax, since: newcomer.since });
    newcomer.welcome(resumption);
    return kept;
  }

  #read(connection: Connection, query: HistoryQuery): Promise<HistoryPage> {
    return this.#deps.read(connection.request.path, query);
  }

  /** Frames of what is kept are made once for all who read it at the same time. */
  #envelopeOf(delivery: Delivery, address: string): Envelope {
    if (this.#envelopes === undefined) {
      this.#envelopes = new WeakMap();
      this.#deps.clock.setTimeout(() => {
        this.#envelopes = undefined;
      }, envelopesMs);
    }
    const known = this.#envelopes.get(delivery);
    const envelope = known ?? new Envelope(delivery, address);
    if (known === undefined) this.#envelopes.set(delivery, envelope);
    return envelope;
  }

  /** Waits for a client that reads, as long as a message may wait for it. */
  async #pace(connection: Connection, handover: Handover): Promise<void> {
    const { outboxAgeMsMax } = connection.limits;
    if ((await within(this.#deps.clock, outboxAgeMsMax, connection.flushed())) === timeIsUp) connection.onOverflow();
    if (!connection.isOpen) handover.cancel();
  }
}

/** Ends a connection that cannot have what is kept; it may come back, and try again. */
function turnAway(connection: Connection, error: unknown, isNewcomer: boolean): void {
  const code = error instanceof EnfiladeError ? error.code : undefined;
  if (code === "ERR_BACKPLANE") connection.end(CloseCode.tryAgainLater, "try again later", false);
  // A client that never catches up with its room is slow.
  else if (code === "ERR_HISTORY" && isNewcomer) connection.onOverflow();
  else throw error;
}

/** A client that cannot be told of a hole must not be left with one. */
function outrun(): never {
  throw new EnfiladeError("ERR_HISTORY", "more was published than is kept, while a client read what is kept");
}

/** How a client is told that knows of positions: by a jump in its offsets, or in words. */
function lossesOf(connection: Connection): Pick<HandoverDeps, "gap" | "skipped"> {
  return {
    gap: (last, { epoch, offset }) => {
      const position = { epoch, offset: offset - 1 };
      if (epoch !== last.epoch) connection.send(controlFrame("lagged", { position }));
    },
    skipped: (count) => connection.recordLoss(count),
  };
}
