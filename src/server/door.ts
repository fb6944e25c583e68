import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type Server, type ServerOptions, WebSocketServer } from "ws";
import type { Clock } from "../connection/clock.js";
import { Connection, type ConnectionSetting } from "../connection/connection.js";
import { sharedOffers } from "../connection/deflate.js";
import { Heartbeats } from "../connection/heartbeat.js";
import { Lifetime } from "../connection/lifetime.js";
import type { Limits } from "../connection/limits.js";
import { Flusher } from "../connection/outbox.js";
import { asError, EnfiladeError } from "../errors.js";
import type { Application } from "../handler/application.js";
import { runSession, type SessionSetting } from "../handler/session.js";
import type { Metrics } from "../metrics.js";
import type { EntryTerms } from "../room/registry.js";
import { pathOfTarget, type RoomPath } from "../wire/path.js";
import { Admission } from "./admission.js";
import { type Arrival, authorize, type Bound, busy, Refused, requestOf, userId } from "./handshake.js";
import { type Refusal, refusal, refusalOfError, refuse } from "./refusal.js";
import type { Match, Route, Router } from "./router.js";
import { ServerSocket, SocketTransport } from "./socket.js";

export interface DoorParts {
  readonly app: Application;
  readonly router: Router;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly report: (error: Error, connection?: Connection) => void;
  readonly opened: (connection: Connection) => void;
  readonly closed: (connection: Connection, code: number, reason: string) => void;
}

/** Where a path leads. */
export interface Destination {
  readonly path: RoomPath;
  readonly match: Match;
}

/** What the connections of one route have in common. */
interface Setting {
  readonly server: Server<typeof ServerSocket>;
  readonly connection: ConnectionSetting;
  readonly session: SessionSetting;
  readonly terms: EntryTerms;
}

/** Where requests become connections. */
export class Door {
  readonly #parts: DoorParts;
  readonly #admission: Admission;
  readonly #flusher: Flusher;
  readonly #settings = new Map<Route, Setting>();
  /** Every socket that came through, and the address that its place is counted for, if it has one. */
  readonly #sockets = new Map<Duplex, string | undefined>();
  /** Handshakes and sessions that are not over. */
  #underWay = 0;
  #whenEmptied: (() => void) | undefined;
  #handshakes = 0;
  #shut = false;

  constructor(parts: DoorParts) {
    this.#parts = parts;
    this.#admission = new Admission(parts.limits);
    const { clock, metrics, limits } = parts;
    this.#flusher = new Flusher({ clock, metrics, flushConnectionsMax: limits.flushConnectionsMax });
  }

  get handshakes(): number {
    return this.#handshakes;
  }

  /** From now on every request is refused with 503. */
  shut(): void {
    this.#shut = true;
  }

  /** Resolves when every session is over, its last hook included. */
  async emptied(): Promise<void> {
    if (this.#underWay === 0) return;
    await new Promise<void>((resolve) => {
      this.#whenEmptied = resolve;
    });
  }

  /** Ends whatever socket came through and is still there. */
  cut(): void {
    for (const socket of this.#sockets.keys()) socket.destroy();
  }

  /** Where a request target leads; a bad one is a 400, one without a route a 404. */
  find(target: string): Destination | Refusal {
    try {
      const path = pathOfTarget(target, this.#parts.limits);
      const match = this.#parts.router.match(path);
      return match === undefined ? refusal(404, "No route for this path") : { path, match };
    } catch (error) {
      if (!(error instanceof EnfiladeError)) this.#parts.report(asError(error));
      return refusal(400, "The path is not valid");
    }
  }

  /** Answers an upgrade request that leads nowhere. */
  refuse(incoming: IncomingMessage, socket: Duplex, why: Refusal): void {
    this.#hold(socket, undefined);
    this.#answer(incoming, socket, why);
  }

  /** Takes an upgrade request all the way: to a connection, or to a refusal. */
  receive(incoming: IncomingMessage, socket: Duplex, head: Buffer, { path, match }: Destination): void {
    const request = requestOf(incoming, path);
    const { remoteAddress } = request;
    const refused = this.#shut ? busy("The server is shutting down") : this.#admission.admit(remoteAddress);
    // The place is free again when the socket is gone, however long the last hook may take.
    this.#hold(socket, refused === undefined ? remoteAddress : undefined);
    if (refused !== undefined) this.#answer(incoming, socket, refused);
    else this.#follow(this.#shake({ incoming, socket, head, match, request }));
  }

  #hold(socket: Duplex, address: string | undefined): void {
    this.#sockets.set(socket, address);
    socket.once("close", this.#forget.bind(this, socket));
  }

  #forget(socket: Duplex): void {
    const address = this.#sockets.get(socket);
    this.#sockets.delete(socket);
    if (address !== undefined) this.#admission.release(address);
  }

  /** Counts what must be over before the door is. */
  #follow(work: Promise<void>): void {
    this.#underWay += 1;
    work.then(this.#done, this.#failed);
  }

  readonly #done = (): void => {
    this.#underWay -= 1;
    if (this.#underWay === 0) this.#whenEmptied?.();
  };

  readonly #failed = (error: unknown): void => {
    this.#parts.report(asError(error));
    this.#done();
  };

  #answer(incoming: IncomingMessage, socket: Duplex, why: Refusal): void {
    const { clock, limits, metrics, report } = this.#parts;
    metrics.totals.refused += 1;
    try {
      refuse(incoming, socket, why, clock, limits.closeMs);
    } catch (error) {
      // The application gave a header that HTTP does not allow.
      report(asError(error));
      refuse(incoming, socket, refusal(500), clock, limits.closeMs);
    }
  }

  /** The handshake. The session goes on by itself, so that nothing of the request is kept for it. */
  async #shake(arrival: Arrival): Promise<void> {
    const { incoming, socket } = arrival;
    const lifetime = new Lifetime();
    const gone = () => lifetime.end();
    socket.once("close", gone);
    this.#handshakes += 1;
    let upgraded = false;
    try {
      const bound = await authorize(arrival, this.#parts.app, lifetime, this.#parts.clock);
      if (!lifetime.over) upgraded = this.#upgrade(arrival, bound, lifetime);
    } catch (error) {
      this.#answer(incoming, socket, this.#refusalOf(error));
    } finally {
      this.#handshakes -= 1;
      socket.off("close", gone);
      if (!upgraded) lifetime.end();
    }
  }

  #refusalOf(error: unknown): Refusal {
    if (error instanceof Refused) return error.refusal;
    const told = refusalOfError(error);
    if (told !== undefined) return told;
    this.#parts.report(asError(error));
    return refusal(500);
  }

  /** `false` when ws has answered for itself: it was no handshake of RFC 6455. */
  #upgrade(arrival: Arrival, bound: Bound, lifetime: Lifetime): boolean {
    if (this.#shut) throw new Refused(busy("The server is shutting down"));
    const { incoming, socket, head, request, match } = arrival;
    const { context } = bound;
    // Here and not earlier: from here on to its room the connection goes without a pause.
    if (!this.#parts.app.registry.hasSpace(request.path)) throw new Refused(busy("Too many rooms"));
    const offers = incoming.headers["sec-websocket-extensions"];
    if (offers !== undefined) incoming.headers["sec-websocket-extensions"] = sharedOffers(offers);
    const setting = this.#settingOf(match.route);
    // The callback is called before handleUpgrade returns, or never.
    setting.server.handleUpgrade(incoming, socket, head, (ws) => {
      const { id, user } = context;
      const transport = new SocketTransport(ws, socket);
      context.connection = new Connection({ id, user, request, lifetime, transport }, setting.connection);
    });
    const { connection } = context;
    if (connection === undefined) {
      this.#parts.metrics.totals.refused += 1;
      return false;
    }
    request.pack();
    this.#follow(this.#run(connection, bound, setting));
    return true;
  }

  async #run(connection: Connection, { handler, context }: Bound, { session, terms }: Setting): Promise<void> {
    const { metrics, closed } = this.#parts;
    metrics.totals.opened += 1;
    const entry = { home: connection.request.path, userId: userId(context.user), terms };
    await runSession(handler, context, connection, entry, session);
    metrics.totals.closed += 1;
    const { code, reason } = await connection.ended;
    closed(connection, code, reason);
  }

  #settingOf(route: Route): Setting {
    const known = this.#settings.get(route);
    if (known !== undefined) return known;
    const { app, clock, metrics, report, opened } = this.#parts;
    const { limits, reader, name: channel, closeOnLastRoomLeft } = route;
    const { heartbeatMs, joinsMax } = limits;
    const heartbeats = heartbeatMs === false ? undefined : new Heartbeats(clock, heartbeatMs);
    const setting: Setting = {
      server: serverOf(route),
      connection: { limits, clock, metrics, flusher: this.#flusher, heartbeats },
      session: { reader, registry: app.registry, entered: opened, report },
      terms: { channel, joinsMax, closeOnLastRoomLeft },
    };
    this.#settings.set(route, setting);
    return setting;
  }
}

/** Each route has its own: they differ in their limits. */
function serverOf({ limits, compression, subprotocols }: Route): Server<typeof ServerSocket> {
  // The types of ws do not know closeTimeout yet.
  const options: ServerOptions<typeof ServerSocket> & { readonly closeTimeout: number } = {
    noServer: true,
    clientTracking: false,
    maxPayload: limits.messageBytesMax,
    maxFragments: limits.fragmentsMax,
    closeTimeout: limits.closeMs,
    WebSocket: ServerSocket,
    perMessageDeflate: compression && { serverNoContextTakeover: true },
    // Of what the client offers only what is known here is agreed on.
    handleProtocols: (offered) => subprotocols.find((name) => offered.has(name)) ?? false,
  };
  return new WebSocketServer(options);
}
