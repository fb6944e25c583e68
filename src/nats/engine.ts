import { JetStreamApiError, JetStreamError, jetstream, jetstreamManager } from "@nats-io/jetstream";
import {
  InvalidArgumentError,
  type Msg,
  type NatsConnection,
  PermissionViolationError,
  type Subscription,
} from "@nats-io/transport-node";
import type { HistoryQuery } from "../backplane/backplane.js";
import type { EngineClaims } from "../cluster/claims/engineClaims.js";
import type {
  Engine,
  EngineEvents,
  EngineHistoryPage,
  EngineRoom,
  EngineTop,
  PublicationId,
} from "../cluster/engine.js";
import { asError } from "../errors.js";
import type { Position } from "../wire/position.js";
import { hasNoResponders } from "./apiErrors.js";
import { NatsClaims } from "./claims.js";
import { ConnectionLoss } from "./connectionLoss.js";
import { OrderedLanes } from "./orderedLanes.js";
import { epochOf } from "./roomStream.js";
import { RoomStreams, type RoomStreamsDeps } from "./streams.js";
import { Subjects } from "./subjects.js";

export interface NatsEngineDeps extends Pick<RoomStreamsDeps, "prefix" | "storage" | "replicas" | "now"> {
  /** Whether the server keeps every acknowledged publication over a restart. */
  readonly durable: boolean;
  /** Makes one connection that does not reconnect by itself. */
  readonly connect: () => Promise<NatsConnection>;
}

/** The state of one connection. */
interface NatsSession {
  readonly connection: NatsConnection;
  readonly streams: RoomStreams;
  readonly claims: NatsClaims;
  readonly subscriptions: Map<string, Subscription>;
  /** Publications in flight, by channel. */
  readonly lanes: OrderedLanes;
  /** Resolves when everything that was published in this tick has reached the server. */
  flushing: Promise<void> | undefined;
  readonly loss: ConnectionLoss;
}

/** The headers of republished messages: https://docs.nats.io/nats-concepts/jetstream/streams#republish */
const sequenceHeader = "Nats-Sequence";
const subjectHeader = "Nats-Subject";
/** Milliseconds for a server to flush and close. */
const closeMs = 500;

/** The bytes of a message that its headers may take. */
const headerBytes = 512;

const refusals = [JetStreamError, JetStreamApiError, InvalidArgumentError, PermissionViolationError];

/** NATS: core subjects, and for each room with history a stream of JetStream, whose sequence is the offset. */
export class NatsEngine implements Engine {
  readonly name = "nats";
  /** A publication is one message of its room's stream, so each is appended alone. */
  readonly appendMax = 1;
  readonly claims: EngineClaims = {
    claim: async (...args) => this.#connected.claims.claim(...args),
    settle: async (...args) => this.#connected.claims.settle(...args),
    release: async (...args) => this.#connected.claims.release(...args),
  };
  readonly #deps: NatsEngineDeps;
  #events: EngineEvents | undefined;
  #session: NatsSession | undefined;
  #retry: NodeJS.Timeout | undefined;
  #attempts = 0;
  readonly #subjects: Subjects;

  constructor(deps: NatsEngineDeps) {
    this.#deps = deps;
    this.#subjects = new Subjects(deps.prefix);
  }

  start(events: EngineEvents): void {
    this.#events = events;
    this.#attempts = 0;
    this.#connect();
  }

  restart(reason: Error): void {
    const session = this.#session;
    if (session === undefined) return;
    this.#onLost(session, reason);
    session.connection.close().catch((error) => this.#events?.onDown(asError(error)));
  }

  async subscribe(channels: readonly string[]): Promise<unknown> {
    const session = this.#connected;
    for (const channel of channels) {
      if (session.subscriptions.has(channel)) continue;
      const callback = (error: Error | null, message: Msg) => {
        if (error === null) this.#onMessage(session, channel, message);
        else if (this.#session === session) this.#events?.onError(error);
      };
      session.subscriptions.set(channel, session.connection.subscribe(this.#subjects.all(channel), { callback }));
    }
    return this.#flushed(session);
  }

  async unsubscribe(channels: readonly string[]): Promise<unknown> {
    const session = this.#connected;
    for (const channel of channels) {
      session.subscriptions.get(channel)?.unsubscribe();
      session.subscriptions.delete(channel);
    }
    return undefined;
  }

  publish(channel: string, bytes: Uint8Array): Promise<unknown> {
    const session = this.#connected;
    const publish = () => {
      session.connection.publish(this.#subjects.plain(channel), bytes);
      return this.#flushed(session);
    };
    // Publications with history take another path; this one must not overtake them.
    return session.lanes.isBusy(channel) ? session.lanes.runAlone(channel, publish) : publish();
  }

  async append(room: EngineRoom, publications: readonly Uint8Array[], id?: PublicationId): Promise<Position> {
    const session = this.#connected;
    const [bytes] = publications;
    if (bytes === undefined) throw new Error("append() takes at least one publication, got none");
    return session.lanes.runShared(room.path, () => session.streams.append(room, bytes, id));
  }

  async read(room: EngineRoom, query: HistoryQuery): Promise<EngineHistoryPage> {
    return this.#connected.streams.read(room, query);
  }

  async top(room: EngineRoom): Promise<EngineTop> {
    return this.#connected.streams.top(room);
  }

  async confirmLost(room: EngineRoom, epoch: string, lost: number): Promise<unknown> {
    return this.#connected.streams.confirmLost(room, epoch, lost);
  }

  async renumber(room: EngineRoom, last: Position): Promise<unknown> {
    return this.#connected.streams.renumber(room, last);
  }

  get messageBytesMax(): number | undefined {
    const { max_payload: bytesMax } = this.#session?.connection.info ?? {};
    return bytesMax && bytesMax - headerBytes;
  }

  async tidy(): Promise<void> {
    return this.#connected.streams.tidy();
  }

  refuses(error: Error): boolean {
    // A request that the user has no right to make has the refusal as its cause.
    return hasNoResponders(error) || refusals.some((kind) => error instanceof kind || error.cause instanceof kind);
  }

  async stop(): Promise<void> {
    this.#events = undefined;
    clearTimeout(this.#retry);
    const session = this.#session;
    this.#session = undefined;
    if (session === undefined) return;
    // An answer means that the server has received all publications. Without an answer, stop after closeMs.
    const flushed = session.loss.unlessLost(session.connection.flush());
    await Promise.race([flushed, pause(closeMs)]).catch(() => undefined);
    session.loss.onLost(new Error("the app was closed"));
    await Promise.race([session.connection.close(), pause(closeMs)]);
  }

  get #connected(): NatsSession {
    if (this.#session !== undefined) return this.#session;
    throw new Error("nats: there is no connection; wait for onUp");
  }

  #connect(): void {
    this.#open().catch((error) => {
      this.#events?.onDown(asError(error));
      this.#connectLater();
    });
  }

  #connectLater(): void {
    if (this.#events === undefined) return;
    const ms = Math.min(2_000, 50 * 2 ** Math.min(this.#attempts, 10)) * (0.5 + Math.random() / 2);
    this.#attempts += 1;
    this.#retry = setTimeout(() => this.#connect(), ms);
    this.#retry.unref();
  }

  async #open(): Promise<void> {
    const connection = await this.#deps.connect();
    if (this.#events === undefined) return connection.close();
    // Does not check whether the server has JetStream: rooms without history need none.
    const manager = await jetstreamManager(connection, { checkAPI: false });
    if (this.#events === undefined) return connection.close();
    const loss = new ConnectionLoss();
    const client = jetstream(connection);
    const streams = new RoomStreams({
      ...this.#deps,
      client,
      manager,
      loss,
      life: this.#deps.durable ? undefined : connection.info?.server_id,
      serverRun: connection.info?.cluster ? undefined : connection.info?.server_id,
      subjectOf: (path) => this.#subjects.of(path),
    });
    const hasJetStream = connection.info?.jetstream === true;
    const claims = new NatsClaims({ ...this.#deps, client, manager, loss, hasJetStream });
    const session: NatsSession = {
      connection,
      streams,
      claims,
      subscriptions: new Map(),
      lanes: new OrderedLanes(),
      flushing: undefined,
      loss,
    };
    this.#session = session;
    connection.closed().then(
      (reason) => this.#onLost(session, reason ?? new Error("the connection to NATS was closed")),
      (error) => this.#onLost(session, asError(error)),
    );
    this.#attempts = 0;
    this.#events.onUp();
  }

  #onLost(session: NatsSession, reason: Error): void {
    if (this.#session !== session) return;
    this.#session = undefined;
    session.loss.onLost(reason);
    this.#events?.onDown(reason);
    this.#connectLater();
  }

  #onMessage(session: NatsSession, channel: string, message: Msg): void {
    if (this.#session !== session) return;
    const sequence = message.headers?.get(sequenceHeader) ?? "";
    if (sequence === "") {
      this.#events?.onMessage(channel, message.data, undefined);
      return;
    }
    const epoch = epochOf(message.headers?.get(subjectHeader) ?? "");
    const isPosition = /^[\w-]{1,64}$/.test(epoch) && /^\d{1,16}$/.test(sequence);
    if (isPosition) this.#events?.onMessage(channel, message.data, { epoch, offset: Number(sequence) });
    else this.#events?.onMalformed(channel);
  }

  /** One round trip for everything that is published in one event-loop tick. */
  #flushed(session: NatsSession): Promise<void> {
    session.flushing ??= new Promise((resolve, reject) => {
      setImmediate(() => {
        session.flushing = undefined;
        session.loss.unlessLost(session.connection.flush()).then(resolve, reject);
      });
    });
    return session.flushing;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
