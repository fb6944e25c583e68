import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { type Server, type ServerOptions, WebSocketServer } from "ws";
import type { Clock } from "../connection/clock.js";
import { Connection } from "../connection/connection.js";
import { sharedOffers } from "../connection/deflate.js";
import { Lifetime } from "../connection/lifetime.js";
import type { Limits } from "../connection/limits.js";
import { Flusher } from "../connection/outbox.js";
import { asError, EnfiladeError } from "../errors.js";
import type { Application } from "../handler/application.js";
import { runSession } from "../handler/session.js";
import type { Metrics } from "../metrics.js";
import { pathOfTarget, type RoomPath } from "../wire/path.js";
import { Admission } from "./admission.js";
import { type Arrival, authorize, type Bound, busy, Refused, requestOf, userId } from "./handshake.js";
import { type Refusal, refusal, refusalOfError, refuse } from "./refusal.js";
import type { Match, Route, Router } from "./router.js";
import { fitSocket, ServerSocket } from "./socket.js";

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

/** Where requests become connections. */
export class Door {
  readonly #parts: DoorParts;
  readonly #admission: Admission;
  readonly #flusher: Flusher;
  /** One for each route: they differ in their limits. */
  readonly #servers = new Map<Route, Server<typeof ServerSocket>>();
  readonly #sockets = new Set<Duplex>();
  readonly #sessions = new Set<Promise<void>>();
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
    while (this.#sessions.size > 0) await Promise.all(this.#sessions);
  }

  /** Ends whatever socket came through and is still there. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
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
    this.#hold(socket);
    this.#answer(incoming, socket, why);
  }

  /** Takes an upgrade request all the way: to a connection, or to a refusal. */
  receive(incoming: IncomingMessage, socket: Duplex, head: Buffer, { path, match }: Destination): void {
    this.#hold(socket);
    const request = requestOf(incoming, path);
    const admitted = this.#shut ? busy("The server is shutting down") : this.#admission.admit(request.remoteAddress);
    if (typeof admitted !== "function") {
      this.#answer(incoming, socket, admitted);
      return;
    }
    // The place is free again when the socket is gone, however long the last hook may take.
    socket.once("close", admitted);
    const session = this.#attend({ incoming, socket, head, match, request })
      .catch((error) => this.#parts.report(asError(error)))
      .finally(() => this.#sessions.delete(session));
    this.#sessions.add(session);
  }

  #hold(socket: Duplex): void {
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
  }

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

  async #attend(arrival: Arrival): Promise<void> {
    const { incoming, socket, match } = arrival;
    const { app, clock } = this.#parts;
    const lifetime = new Lifetime();
    const gone = () => lifetime.end();
    socket.once("close", gone);
    this.#handshakes += 1;
    let connection: Connection | undefined;
    let bound: Bound | undefined;
    try {
      bound = await authorize(arrival, app, lifetime, clock);
      if (!lifetime.over) connection = this.#upgrade(arrival, bound, lifetime);
    } catch (error) {
      this.#answer(incoming, socket, this.#refusalOf(error));
    } finally {
      this.#handshakes -= 1;
      socket.off("close", gone);
      if (connection === undefined) lifetime.end();
    }
    if (connection !== undefined && bound !== undefined) await this.#run(connection, bound, match.route);
  }

  #refusalOf(error: unknown): Refusal {
    if (error instanceof Refused) return error.refusal;
    const told = refusalOfError(error);
    if (told !== undefined) return told;
    this.#parts.report(asError(error));
    return refusal(500);
  }

  /** `undefined` when ws has answered for itself: it was no handshake of RFC 6455. */
  #upgrade(arrival: Arrival, { context }: Bound, lifetime: Lifetime): Connection | undefined {
    if (this.#shut) throw new Refused(busy("The server is shutting down"));
    const { clock, metrics } = this.#parts;
    const { incoming, socket, head, request } = arrival;
    const { route } = arrival.match;
    // Here and not earlier: from here on to its room the connection goes without a pause.
    if (!this.#parts.app.registry.hasSpace(request.path)) throw new Refused(busy("Too many rooms"));
    const offers = incoming.headers["sec-websocket-extensions"];
    if (offers !== undefined) incoming.headers["sec-websocket-extensions"] = sharedOffers(offers);
    // The callback is called before handleUpgrade returns, or never.
    this.#serverOf(route).handleUpgrade(incoming, socket, head, (ws) => {
      context.connection = new Connection({
        ...{ id: context.id, user: context.user, request, lifetime, limits: route.limits, clock, metrics },
        flusher: this.#flusher,
        transport: (events) => fitSocket(ws, socket, events),
      });
    });
    if (context.connection === undefined) metrics.totals.refused += 1;
    return context.connection;
  }

  async #run(connection: Connection, { handler, context }: Bound, route: Route): Promise<void> {
    const { app, clock, metrics, report, opened, closed } = this.#parts;
    const { name: channel, reader, badMessage, closeOnLastRoomLeft } = route;
    const { joinsMax, closeMs } = route.limits;
    const home = connection.request.path;
    const entry = { home, channel, userId: userId(context.user), joinsMax, closeOnLastRoomLeft };
    metrics.totals.opened += 1;
    await runSession({
      ...{ handler, context, connection, reader, badMessage, entry, registry: app.registry, clock, closeMs, report },
      entered: () => opened(connection),
    });
    metrics.totals.closed += 1;
    const { code, reason } = await connection.ended;
    closed(connection, code, reason);
  }

  #serverOf(route: Route): Server<typeof ServerSocket> {
    const known = this.#servers.get(route);
    if (known !== undefined) return known;
    const { messageBytesMax, fragmentsMax, closeMs } = route.limits;
    // The types of ws do not know closeTimeout yet.
    const options: ServerOptions<typeof ServerSocket> & { readonly closeTimeout: number } = {
      noServer: true,
      clientTracking: false,
      maxPayload: messageBytesMax,
      maxFragments: fragmentsMax,
      closeTimeout: closeMs,
      WebSocket: ServerSocket,
      perMessageDeflate: route.compression && { serverNoContextTakeover: true },
      // Of what the client offers only what is known here is agreed on.
      handleProtocols: (offered) => route.subprotocols.find((name) => offered.has(name)) ?? false,
    };
    const server = new WebSocketServer(options);
    this.#servers.set(route, server);
    return server;
  }
}
