import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type Server, type ServerOptions, WebSocketServer } from "ws";
import type { Clock } from "../connection/clock.js";
import { Connection, type ConnectionConfig } from "../connection/connection.js";
import { sharedOffers } from "../connection/deflate.js";
import { Heartbeats } from "../connection/heartbeat.js";
import { Lifetime } from "../connection/lifetime.js";
import type { Limits } from "../connection/limits.js";
import { Flusher } from "../connection/outbox.js";
import { asError, type CloseInfo, EnfiladeError } from "../errors.js";
import type { Application } from "../handler/application.js";
import type { HandlerConfig } from "../handler/handler.js";
import { Receipts } from "../handler/receipts.js";
import { runSession, type SessionConfig } from "../handler/session.js";
import type { Metrics } from "../metrics.js";
import { pathOfTarget, type RoomPath } from "../wire/path.js";
import { v1 } from "../wire/v1.js";
import { Capacity } from "./capacity.js";
import {
  asks,
  authorize,
  busy,
  ForeignOrigin,
  type PreparedHandler,
  prepare,
  Refused,
  reauthorize,
  requestOf,
  type Upgrade,
} from "./handshake.js";
import { type Refusal, refusal, refusalOfError, refuse } from "./refusal.js";
import type { Match, Route, Router } from "./router.js";
import { ServerSocket, SocketTransport } from "./socket.js";

export interface AcceptorDeps {
  readonly app: Application;
  readonly router: Router;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly report: (error: Error, connection?: Connection) => void;
  readonly warn: (message: string) => void;
  readonly opened: (connection: Connection) => void;
  readonly closed: (connection: Connection, code: number, reason: string) => void;
}

/** Where a path leads. */
export interface Destination {
  readonly path: RoomPath;
  readonly match: Match;
}

/** What the connections of one route have in common. */
interface RouteRuntime {
  readonly server: Server<typeof ServerSocket>;
  readonly handler: HandlerConfig;
  readonly connection: ConnectionConfig;
  readonly session: SessionConfig;
}

/** Origins that are warned of: an attacker who changes his must not fill the log. */
const warnedOriginsMax = 100;

/** What ends with a socket. */
class SocketLifetime extends Lifetime {
  /** @param address The address that its place is counted for; `undefined` if it was given none. */
  constructor(readonly address: string | undefined) {
    super();
  }
}

/** Where requests become connections. */
export class Acceptor {
  readonly #deps: AcceptorDeps;
  readonly #admission: Capacity;
  readonly #flusher: Flusher;
  readonly #receipts: Receipts;
  readonly #settings = new Map<Route, RouteRuntime>();
  /** Every socket that came through and is there. */
  readonly #guests = new Map<Duplex, SocketLifetime>();
  /** Handshakes and sessions that are not over. */
  #underWay = 0;
  #whenEmptied: (() => void) | undefined;
  readonly #warnedOrigins = new Set<string>();
  #handshakes = 0;
  #shut = false;

  constructor(deps: AcceptorDeps) {
    this.#deps = deps;
    this.#admission = new Capacity(deps.limits);
    const { clock, metrics, limits } = deps;
    this.#receipts = new Receipts(clock);
    this.#flusher = new Flusher({ clock, metrics, flushConnectionsMax: limits.flushConnectionsMax });
  }

  get handshakes(): number {
    return this.#handshakes;
  }

  /** From now on every request is refused with 503. */
  stopAccepting(): void {
    this.#shut = true;
  }

  /** Resolves when every session is over, its last hook included. */
  async whenIdle(): Promise<void> {
    if (this.#underWay === 0) return;
    await new Promise<void>((resolve) => {
      this.#whenEmptied = resolve;
    });
  }

  /** Ends whatever socket came through and is still there. */
  destroyAll(): void {
    for (const socket of this.#guests.keys()) socket.destroy();
  }

  /** Where a request target leads; a bad one is a 400, one without a route a 404. */
  find(target: string): Destination | Refusal {
    try {
      const path = pathOfTarget(target, this.#deps.limits);
      const match = this.#deps.router.match(path);
      return match === undefined ? refusal(404, "No route for this path") : { path, match };
    } catch (error) {
      if (!(error instanceof EnfiladeError)) this.#deps.report(asError(error));
      return refusal(400, "The path is not valid");
    }
  }

  /** Answers an upgrade request that leads nowhere. */
  refuse(incoming: IncomingMessage, socket: Duplex, why: Refusal): void {
    this.#hold(socket, new SocketLifetime(undefined));
    this.#answer(incoming, socket, why);
  }

  /** Takes an upgrade request all the way: to a connection, or to a refusal. */
  receive(incoming: IncomingMessage, socket: Duplex, head: Buffer, { path, match }: Destination): void {
    const request = requestOf(incoming, path);
    const { remoteAddress } = request;
    const refused = this.#shut ? busy("The server is shutting down") : this.#admission.admit(remoteAddress);
    // The place is free again when the socket is gone, however long the last hook may take.
    const lifetime = new SocketLifetime(refused === undefined ? remoteAddress : undefined);
    this.#hold(socket, lifetime);
    if (refused !== undefined) this.#answer(incoming, socket, refused);
    else this.#begin({ incoming, socket, head, match, request, lifetime });
  }

  #hold(socket: Duplex, guest: SocketLifetime): void {
    this.#guests.set(socket, guest);
    socket.on("close", this.#gone);
  }

  /** The close listener of every socket, which is its `this`. */
  readonly #gone = listener((socket) => {
    const guest = this.#guests.get(socket);
    this.#guests.delete(socket);
    guest?.end();
    if (guest?.address !== undefined) this.#admission.release(guest.address);
  });

  /** Counts what must be over before the door is. */
  #follow(work: Promise<void>): void {
    this.#underWay += 1;
    work.then(this.#done, this.#failed);
  }

  readonly #done = (): void => {
    this.#underWay -= 1;
    if (this.#underWay === 0) this.#whenEmptied?.();
  };

  readonly #left = (connection: Connection, { code, reason }: CloseInfo): void => {
    this.#deps.metrics.totals.closed += 1;
    this.#deps.closed(connection, code, reason);
  };

  readonly #failed = (error: unknown): void => {
    this.#deps.report(asError(error));
    this.#done();
  };

  #answer(incoming: IncomingMessage, socket: Duplex, why: Refusal): void {
    const { clock, limits, metrics, report } = this.#deps;
    metrics.totals.refused += 1;
    try {
      refuse(incoming, socket, why, clock, limits.closeMs);
    } catch (error) {
      // The application gave a header that HTTP does not allow.
      report(asError(error));
      refuse(incoming, socket, refusal(500), clock, limits.closeMs);
    }
  }

  #begin(arrival: Upgrade): void {
    try {
      const bound = prepare(arrival, this.#settingOf(arrival.match.route).handler);
      if (asks(arrival.match.route, bound.handler)) this.#follow(this.#ask(arrival, bound));
      else this.#upgrade(arrival, bound);
    } catch (error) {
      this.#turnAway(arrival, error);
    }
  }

  /** The part of a handshake that takes time. The session goes on by itself, so that nothing of the request is kept. */
  async #ask(arrival: Upgrade, bound: PreparedHandler): Promise<void> {
    this.#handshakes += 1;
    try {
      await authorize(arrival.match.route, bound, this.#deps.clock);
      if (!arrival.lifetime.isOver) this.#upgrade(arrival, bound);
    } catch (error) {
      this.#turnAway(arrival, error);
    } finally {
      this.#handshakes -= 1;
    }
  }

  #turnAway({ incoming, socket, lifetime }: Upgrade, error: unknown): void {
    lifetime.end();
    if (error instanceof ForeignOrigin) this.#warnOf(error.origin);
    this.#answer(incoming, socket, this.#refusalOf(error));
  }

  /** A page is told nothing of why it was refused, so that its developer has to find it in the log; once for each origin. */
  #warnOf(origin: string): void {
    if (this.#warnedOrigins.has(origin) || this.#warnedOrigins.size >= warnedOriginsMax) return;
    this.#warnedOrigins.add(origin);
    this.#deps.warn(`enfilade: refused a page of ${JSON.stringify(origin)}; to allow it, set origins: [its origin]`);
  }

  #refusalOf(error: unknown): Refusal {
    if (error instanceof Refused) return error.refusal;
    const told = refusalOfError(error);
    if (told !== undefined) return told;
    this.#deps.report(asError(error));
    return refusal(500);
  }

  /** Opens the connection, or lets ws answer for itself when it is no handshake of RFC 6455. */
  #upgrade(arrival: Upgrade, { handler, context }: PreparedHandler): void {
    if (this.#shut) throw new Refused(busy("The server is shutting down"));
    const { incoming, socket, head, request, match, lifetime } = arrival;
    const { app, metrics } = this.#deps;
    // Here and not earlier: from here on to its room the connection goes without a pause.
    if (!app.registry.hasSpace(request.path)) throw new Refused(busy("Too many rooms"));
    const offers = incoming.headers["sec-websocket-extensions"];
    if (offers !== undefined) incoming.headers["sec-websocket-extensions"] = sharedOffers(offers);
    const { server, connection, session } = this.#settingOf(match.route);
    // The callback is called before handleUpgrade returns, or never.
    server.handleUpgrade(incoming, socket, head, (ws) => {
      const { id, user } = context;
      const transport = new SocketTransport(ws, socket);
      context.connection = new Connection({ id, request, user, lifetime, transport }, connection);
    });
    if (context.connection === undefined) {
      metrics.totals.refused += 1;
      return;
    }
    metrics.totals.opened += 1;
    request.pack();
    this.#follow(runSession(handler, context, context.connection, session));
  }

  #settingOf(route: Route): RouteRuntime {
    const known = this.#settings.get(route);
    if (known !== undefined) return known;
    const { app, clock, metrics, report, opened } = this.#deps;
    const { limits, reader, name: channel, closeOnLastRoomLeft, replay, ...others } = route;
    const { eventProtocol, policy, eventPolicies } = others;
    const { heartbeatMs, joinsMax } = limits;
    const terms = { channel, joinsMax, closeOnLastRoomLeft, replay };
    const heartbeats = heartbeatMs === false ? undefined : new Heartbeats(clock, heartbeatMs);
    const config: RouteRuntime = {
      server: serverOf(route),
      handler: { app, eventProtocol, policy, eventPolicies },
      connection: { limits, clock, metrics, flusher: this.#flusher, heartbeats },
      session: {
        ...{ reader, registry: app.registry, terms, entered: opened, left: this.#left, report },
        receipts: this.#receipts,
        authorize: (handler, request) => reauthorize(route, handler, request, clock),
      },
    };
    this.#settings.set(route, config);
    return config;
  }
}

/** A listener that is called with its `this`, so that one function serves all sockets. */
function listener(heard: (socket: Duplex) => void): (this: Duplex) => void {
  return function (this: Duplex) {
    heard(this);
  };
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
    // Of what the client offers only what is known here is agreed on; what is none of ours may be a token.
    handleProtocols: (offered) => [v1, ...subprotocols].find((name) => offered.has(name)) ?? false,
  };
  return new WebSocketServer(options);
}
