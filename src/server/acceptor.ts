import { newConnectionId } from "../backplane/connectionId.js";
import type { Clock } from "../connection/clock.js";
import { Flusher } from "../connection/outbox.js";
import { Peer } from "../connection/peer.js";
import type { PeerConfig } from "../connection/peerConfig.js";
import type { ConnectionRequest } from "../connection/request.js";
import type { Refusal, Transport, TransportOptions } from "../connection/transport.js";
import { AttentiveClocks } from "../connection/watch/attentiveClock.js";
import { Watches } from "../connection/watch/watch.js";
import { channels, traces } from "../diagnostics.js";
import { asError, type CloseInfo, EnfiladeError } from "../errors.js";
import type { Application } from "../handler/application.js";
import type { HandlerConfig, HandlerContext } from "../handler/context.js";
import { type AnyHandler, bind } from "../handler/handler.js";
import type { Interceptor, Reader } from "../handler/reader.js";
import { runSession, Session, type SessionConfig } from "../handler/session.js";
import type { Metrics } from "../metrics.js";
import type { Member } from "../protocol/dialect.js";
import type { Dialects } from "../protocol/dialects.js";
import { pathOfTarget, type RoomPath } from "../wire/path.js";
import { authorize, ForeignOriginError, hasChecks, RefusedError, reauthorize } from "./access/authorization.js";
import { Capacity } from "./access/capacity.js";
import { Client } from "./access/client.js";
import { Refuser } from "./access/refuser.js";
import type { HandlerFactory } from "./creation.js";
import { HandshakeTrace } from "./diagnostics/handshake.js";
import type { RefusedRequest } from "./diagnostics/messages.js";
import type { Reporter } from "./diagnostics/reporter.js";
import type { Limits } from "./limits.js";
import { busy, refusal } from "./refusal.js";
import { describeRoute, type Match, type Route, type Router } from "./router.js";
import { Warnings } from "./warnings.js";

export interface AcceptorDeps {
  readonly app: Application;
  readonly router: Router;
  readonly handlers: HandlerFactory;
  readonly dialects: Dialects;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly reporter: Reporter;
  /** Receives errors. `thrower` names the method that threw the error, for the log. */
  readonly report: (error: Error, member?: Member, thrower?: string) => void;
  readonly warn: (message: string) => void;
  readonly onOpened: (member: Member) => void;
  readonly onClosed: (member: Member, info: CloseInfo) => void;
}

/** A valid path and its route. */
export interface Destination {
  readonly path: RoomPath;
  readonly match: Match;
}

/** The configuration that all connections of one route share. */
interface RouteConfig {
  readonly transport: TransportOptions;
  readonly handler: HandlerConfig;
  readonly peer: PeerConfig<Peer>;
  readonly session: SessionConfig;
}

/** A client whose path has a route, until it is connected or refused. */
interface Candidate {
  readonly client: Client;
  readonly request: ConnectionRequest;
  readonly match: Match;
  /** `undefined` when the tracing channel has no subscribers. */
  readonly span: HandshakeTrace | undefined;
}

const noRooms: readonly RoomPath[] = [];

/** Turns clients of any transport into connections: checks capacity and origin, authorizes, and starts sessions. */
export class Acceptor {
  readonly #deps: AcceptorDeps;
  readonly #capacity: Capacity;
  readonly #flusher: Flusher;
  readonly #attentiveClocks: AttentiveClocks;
  readonly #configs = new Map<Route, RouteConfig>();
  readonly #interceptors: Interceptor[] = [];
  readonly #refuser: Refuser;
  readonly #warnings: Warnings;
  readonly #clients = new Set<Client>();
  /** The number of handshakes and sessions that have not ended. */
  #pending = 0;
  #resolveIdle: (() => void) | undefined;
  #handshakes = 0;
  /** Refuses every client; `undefined` while clients are accepted. */
  #refuseAll: (() => Refusal) | undefined;

  constructor(deps: AcceptorDeps) {
    this.#deps = deps;
    const { clock, metrics, limits } = deps;
    this.#attentiveClocks = new AttentiveClocks(clock);
    this.#capacity = new Capacity(limits);
    this.#warnings = new Warnings(deps.warn);
    const { report } = deps;
    this.#refuser = new Refuser({ clock, limits, report, warnings: this.#warnings, onRefused: this.#onRefused });
    this.#flusher = new Flusher({ clock, metrics, flushConnectionsMax: limits.flushConnectionsMax });
  }

  /** The number of clients that wait for `authorize`. */
  get handshakes(): number {
    return this.#handshakes;
  }

  /** Intercepts the messages of connections that open from now on. */
  intercept(interceptor: Interceptor): void {
    this.#interceptors.push(interceptor);
    // The config of each route is built again for its next connection.
    this.#configs.clear();
  }

  /** Refuses every further client, and those that wait for `authorize`. */
  stopAccepting(refuse: () => Refusal): void {
    this.#refuseAll = refuse;
  }

  /** Resolves when every handshake and session has ended, the last hook included. */
  async whenIdle(): Promise<void> {
    if (this.#pending === 0) return;
    await new Promise<void>((resolve) => {
      this.#resolveIdle = resolve;
    });
  }

  /** Destroys every transport that has not ended. */
  destroyAll(): void {
    for (const { transport } of [...this.#clients]) transport.destroy();
  }

  /** Finds the route of a request target. Returns a 400 for an invalid path and a 404 for a path without a route. */
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

  /** Refuses a client whose request has no route or is malformed. */
  refuse(transport: Transport, refusal: Refusal, request: RefusedRequest): void {
    if (refusal.status === 404) this.#refuser.warnOfPath(request.url, () => this.#deps.router.describe());
    this.#refuse(this.#track(transport), refusal, request);
  }

  /** Connects a client, or refuses it. */
  accept(transport: Transport, request: ConnectionRequest, match: Match): void {
    const client = this.#track(transport);
    const refusal = this.#refuseAll?.() ?? this.#capacity.admit(request.remoteAddress);
    if (refusal !== undefined) {
      this.#refuse(client, refusal, request);
      return;
    }
    // Capacity is released when the transport ends. It does not wait for the last hook.
    client.address = request.remoteAddress;
    const span = traces.handshake.hasSubscribers ? new HandshakeTrace(this.#deps.app, request, match.route) : undefined;
    if (span === undefined) this.#startHandshake({ client, request, match, span });
    else span.run(() => this.#startHandshake({ client, request, match, span }));
  }

  #track(transport: Transport): Client {
    const client = new Client(transport, this.#onEnd);
    this.#clients.add(client);
    transport.whenGone(client);
    return client;
  }

  readonly #onEnd = (client: Client): void => {
    this.#clients.delete(client);
    if (client.address !== undefined) this.#capacity.release(client.address);
  };

  /** Counts `work` as pending: the acceptor is idle when all of it has settled. */
  #addPending(work: Promise<void>): Promise<void> {
    this.#pending += 1;
    work.then(this.#onWorkDone, this.#onWorkFailed);
    return work;
  }

  readonly #onWorkDone = (): void => {
    this.#pending -= 1;
    if (this.#pending === 0) this.#resolveIdle?.();
  };

  readonly #onWorkFailed = (error: unknown): void => {
    this.#deps.report(asError(error));
    this.#onWorkDone();
  };

  readonly #onEntered = (member: Member): void => {
    if (channels.opened.hasSubscribers) this.#deps.reporter.onOpened(member);
    this.#deps.onOpened(member);
  };

  readonly #onLeft = (member: Member, info: CloseInfo): void => {
    this.#deps.metrics.totals.closed += 1;
    if (channels.closed.hasSubscribers) this.#deps.reporter.onClosed(member, info);
    this.#deps.onClosed(member, info);
  };

  #refuse(client: Client, refusal: Refusal, request: RefusedRequest): void {
    const canUpgrade = () => this.#refuseAll === undefined && this.#reserveCapacity(client, request.remoteAddress);
    const closing = this.#refuser.refuse(client.transport, refusal, request, canUpgrade);
    if (closing !== undefined) this.#addPending(closing);
  }

  /** Returns true when a refused client counts as a connection until it has answered the close. */
  #reserveCapacity(client: Client, remoteAddress: string): boolean {
    if (client.address !== undefined) return true;
    if (this.#capacity.admit(remoteAddress) !== undefined) return false;
    client.address = remoteAddress;
    return true;
  }

  readonly #onRefused = (request: RefusedRequest, status: number): void => {
    this.#deps.metrics.totals.refused += 1;
    if (channels.refused.hasSubscribers) this.#deps.reporter.onRefused(request, status);
  };

  /** Returns a promise for the asynchronous part of the handshake, if it has one. The promise never rejects. */
  #startHandshake(candidate: Candidate): Promise<void> | undefined {
    try {
      const { match, request } = candidate;
      const { origin, host } = request.headers;
      if (!match.route.allowsOrigin(origin, host)) throw new ForeignOriginError(origin ?? "");
      const handler = this.#deps.handlers.make(match.route.handlerClass);
      const context = this.#contextOf(candidate);
      bind(handler, context);
      if (hasChecks(match.route, handler)) return this.#addPending(this.#authorize(candidate, handler, context));
      this.#open(candidate, handler, context);
    } catch (error) {
      this.#refuseCandidate(candidate, error);
    }
    return undefined;
  }

  #contextOf({ client, request, match }: Candidate): HandlerContext {
    return {
      id: newConnectionId(),
      config: this.#configOf(match.route).handler,
      request,
      lifetime: client,
      params: match.params,
      user: undefined,
      member: undefined,
      leftRooms: noRooms,
    };
  }

  /** The asynchronous part of a handshake. It does not await the session, so that it does not retain the request. */
  async #authorize(candidate: Candidate, handler: AnyHandler, context: HandlerContext): Promise<void> {
    this.#handshakes += 1;
    try {
      await authorize(candidate.match.route, handler, context, this.#deps.clock);
      if (!candidate.client.isOver) this.#open(candidate, handler, context);
    } catch (error) {
      this.#refuseCandidate(candidate, error);
    } finally {
      candidate.request.dropRaw();
      this.#handshakes -= 1;
    }
  }

  #refuseCandidate({ client, request, match, span }: Candidate, error: unknown): void {
    request.dropRaw();
    client.end();
    const refusal = this.#refuser.refusalOf(error, match.route, request.headers);
    this.#refuse(client, refusal, request);
    span?.onRefused(refusal.status, error);
  }

  /** Opens the connection. If the transport cannot open, it has answered the client itself. */
  #open({ client, request, match, span }: Candidate, handler: AnyHandler, context: HandlerContext): void {
    if (this.#refuseAll !== undefined) throw new RefusedError(this.#refuseAll());
    const { app, metrics } = this.#deps;
    // Checked here, since the connection enters its room in this same call: no other one can take the space.
    if (!app.registry.hasSpace(request.path)) throw new RefusedError(busy("Too many rooms"));
    const { transport } = client;
    const config = this.#configOf(match.route);
    if (!transport.open(config.transport)) {
      // ws answers a malformed handshake itself, with 400.
      this.#onRefused(request, 400);
      span?.onRefused(400);
      return;
    }
    const { id, user } = context;
    const dialect = this.#deps.dialects.of(transport, request, match.route.room.eventProtocol);
    const member = new Peer({ id, request, user, lifetime: client, transport, dialect }, config.peer);
    context.member = member;
    metrics.totals.opened += 1;
    span?.onOpened(member);
    request.dropRaw();
    request.pack();
    this.#addPending(runSession(new Session(handler, context, member, config.session)));
  }

  /** Adds the interceptors to a reader. Decided once for each route, so that without interceptors nothing is added. */
  #withInterceptors(reader: Reader): Reader {
    if (this.#interceptors.length === 0) return reader;
    return { ...reader, read: reader.intercepted([...this.#interceptors]) };
  }

  #configOf(route: Route): RouteConfig {
    const cached = this.#configs.get(route);
    if (cached !== undefined) return cached;
    const { app, clock, dialects, metrics, report, reporter } = this.#deps;
    const reader = this.#withInterceptors(route.reader);
    const { limits, name: channel, closeOnLastRoomLeft, replay, room, policy } = route;
    const attentive = this.#attentiveClocks.of(limits);
    const { eventProtocol, eventPolicies } = room;
    const { registry } = app;
    const onTimeout = () => this.#refuser.warnOfTimeout(route, "the client was closed with 1013");
    const config: RouteConfig = {
      transport: {
        ...limits,
        compression: route.compression,
        subprotocols: [...dialects.subprotocols, ...route.subprotocols],
      },
      handler: { app, publisher: registry.publisher, eventProtocol, policy, eventPolicies },
      peer: {
        limits,
        clock: attentive,
        metrics,
        observer: reporter,
        flusher: this.#flusher,
        watches: new Watches(attentive, limits),
      },
      session: {
        route: route.pattern,
        registry,
        reader,
        onEntered: this.#onEntered,
        onLeft: this.#onLeft,
        member: { channel, joinsMax: limits.joinsMax, closeOnLastRoomLeft, replay },
        reauthorize: (handler, request) => reauthorize(route, handler, request, clock, onTimeout),
        report,
        owner: describeRoute(route),
        warn: (kind, message) => this.#warnings.once(kind, route.pattern, message),
      },
    };
    this.#configs.set(route, config);
    return config;
  }
}
