import { newConnectionId } from "../backplane/connectionId.js";
import type { RevokedClients } from "../backplane/topic.js";
import { Peer } from "../connection/peer.js";
import { ConnectionRequest } from "../connection/request.js";
import type { Refusal, Transport, TransportRequest } from "../connection/transport.js";
import { AttentiveClocks } from "../connection/watch/attentiveClock.js";
import { channels, traces } from "../diagnostics.js";
import { asError, EnfiladeError } from "../errors.js";
import type { HandlerContext } from "../handler/context.js";
import { type AnyHandler, bind } from "../handler/handler.js";
import type { Interceptor } from "../handler/reader.js";
import { Session } from "../handler/session/session.js";
import { userId } from "../handler/user.js";
import type { SocketRooms } from "../protocol/dialect.js";
import { CloseCode } from "../wire/closeCodes.js";
import { pathOfTarget, type RoomPath } from "../wire/path.js";
import { Authorizer, ForeignOriginError, hasChecks, RefusedError } from "./access/authorization.js";
import { Capacity } from "./access/capacity.js";
import { Client } from "./access/client.js";
import { ConnectRates } from "./access/connectRates.js";
import { networkOf } from "./access/network.js";
import { PendingHandshakes } from "./access/pendingHandshakes.js";
import { PendingWork } from "./access/pendingWork.js";
import type { SourceFinder } from "./access/proxies.js";
import { type RefusalListener, Refuser } from "./access/refuser.js";
import { type ConnectionDeps, RouteConfigs } from "./access/routeConfigs.js";
import { messageService, type Service } from "./access/service.js";
import type { UserLimit } from "./access/userLimit.js";
import type { HandlerFactory } from "./creation.js";
import { HandshakeTrace } from "./diagnostics/handshake.js";
import type { RefusedRequest } from "./diagnostics/messages.js";
import { withoutSecrets } from "./diagnostics/redaction.js";
import { busy, refusal } from "./refusal.js";
import type { Destination, Match, Router } from "./router.js";
import { offersRooms, type SharedDestination, SharedSockets, sharedSocket } from "./shared/sharedSockets.js";
import { Warnings } from "./warnings.js";

export interface AcceptorDeps extends ConnectionDeps {
  readonly router: Router;
  readonly handlers: HandlerFactory;
  /** Finds the client behind trusted proxies. */
  readonly sourceOf: SourceFinder;
  readonly userLimit: UserLimit;
  /** Whether the messages of sockets with many rooms may be compressed. */
  readonly compression: boolean;
  readonly warn: (message: string) => void;
}

/** A client whose path has a route, until it is connected or refused. */
interface Candidate {
  readonly client: Client;
  readonly request: ConnectionRequest;
  readonly match: Match;
  readonly service: Service;
  /** `undefined` when the tracing channel has no subscribers. */
  readonly span: HandshakeTrace | undefined;
}

const noRooms: readonly RoomPath[] = [];
/** ws answers a malformed handshake itself. */
const malformed = refusal("request", 400);

/** Turns clients of any transport into connections: checks capacity and origin, authorizes, and starts sessions. */
export class Acceptor {
  readonly #deps: AcceptorDeps;
  readonly #capacity: Capacity;
  readonly #connectRates: ConnectRates;
  readonly #authorizer: Authorizer;
  readonly #configs: RouteConfigs;
  readonly #refuser: Refuser;
  readonly #clients = new Set<Client>();
  /** The sessions that get one answer: they are in no room, so that no message to a room or a user reaches them. */
  readonly #exchanges = new Set<Session>();
  /** Handshakes and sessions. */
  readonly #pending: PendingWork;
  readonly #handshakes = new PendingHandshakes();
  readonly #messages: Service;
  readonly #shared: SharedSockets;
  /** Refuses every client; `undefined` while clients are accepted. */
  #refuseAll: (() => Refusal) | undefined;

  constructor(deps: AcceptorDeps) {
    this.#deps = deps;
    const { clock, limits, report, dialects, receiver } = deps;
    this.#messages = messageService(dialects);
    this.#capacity = new Capacity(limits);
    this.#connectRates = new ConnectRates(limits, clock);
    this.#pending = new PendingWork(report);
    const attentiveClocks = new AttentiveClocks(clock);
    const authorizer = new Authorizer(attentiveClocks.forDeadline(limits.authorizeMs), limits.authorizeMax);
    const warnings = new Warnings(deps.warn, clock);
    const refuser = new Refuser({ clock, limits, report, receiver, warnings, onRefused: this.#onRefused });
    this.#authorizer = authorizer;
    this.#refuser = refuser;
    this.#configs = new RouteConfigs(deps, { attentiveClocks, authorizer, refuser, warnings });
    this.#shared = new SharedSockets({
      ...deps,
      attentiveClocks,
      incomingMemory: deps.memory.incoming,
      find: (target) => this.find(target),
      receive: (transport, asked, found, service) => this.receive(transport, asked, found, service),
      isAccepting: () => this.#refuseAll === undefined,
    });
  }

  /** The number of clients that wait for `authorize`. */
  get handshakes(): number {
    return this.#handshakes.size;
  }

  /** Intercepts the messages of connections that open from now on. */
  intercept(interceptor: Interceptor): void {
    this.#configs.intercept(interceptor);
  }

  /** Refuses every further client, and those that wait for `authorize`. */
  stopAccepting(refuse: () => Refusal): void {
    this.#refuseAll = refuse;
    this.#shared.endEmpty();
  }

  /**
   * The access of these clients is revoked: what is kept for a user is forgotten, its handshakes are refused, and those
   * that wait for one answer are closed. Connections are closed by their rooms and their user.
   */
  onRevoked(clients: RevokedClients): void {
    for (const { member, context } of [...this.#exchanges]) {
      const isRevoked = "user" in clients && userId(context.user) === clients.user;
      if (isRevoked) member.close(CloseCode.unauthorized, "revoked", false);
    }
    if (!("user" in clients)) return;
    this.#deps.dialects.forgetUser(clients.user);
    this.#handshakes.revoke(clients.user);
  }

  /** Resolves when every handshake and session has ended, the last hook included. */
  whenIdle(): Promise<void> {
    return this.#pending.whenIdle();
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
      return match === undefined ? refusal("route", 404, "No route for this path") : { path, match };
    } catch (error) {
      if (!(error instanceof EnfiladeError)) this.#deps.report(asError(error));
      return refusal("path", 400, "The path is not valid");
    }
  }

  /** As {@link find}; for a client that offers the subprotocol of a socket with many rooms, at any path. */
  findFor({ url, headers }: TransportRequest): Destination | SharedDestination | Refusal {
    return offersRooms(headers) ? sharedSocket : this.find(url);
  }

  /** Connects a client to `found`, or refuses it. */
  receive(
    transport: Transport,
    asked: TransportRequest,
    found: Destination | SharedDestination | Refusal,
    service: Service = this.#messages,
  ): void {
    const { url, headers = {}, remoteAddress = "", secure = false, token, raw } = asked;
    const source = this.#deps.sourceOf(headers, { remoteAddress, secure, host: headers.host });
    const client = this.#track(transport);
    const tooFast = this.#connectRates.count(networkOf(source.remoteAddress));
    if (tooFast === undefined && "match" in found) {
      const request = new ConnectionRequest({ url, path: found.path, headers, ...source, token, raw });
      this.#accept(client, request, found.match, service);
      return;
    }
    const request = { url, headers, remoteAddress: source.remoteAddress };
    if (tooFast !== undefined) this.#refuse(client, tooFast, request);
    else if (found === sharedSocket) this.#acceptShared(client, { ...asked, raw: undefined }, request);
    else if ("status" in found) {
      if (found.status === 404) this.#refuser.warnOfPath(url, () => this.#deps.router.describe());
      this.#refuse(client, found, request);
    }
  }

  /** Opens a socket for many rooms. Each room is authorized when the client opens it. */
  #acceptShared(client: Client, asked: TransportRequest, request: RefusedRequest): void {
    const refusal = this.#admit(client, request.remoteAddress);
    if (refusal !== undefined) this.#refuse(client, refusal, request);
    else if (!client.transport.open(this.#shared.transportOptions)) this.#onRefused(request, malformed);
    else void this.#pending.add(this.#shared.serve(client.transport, asked));
  }

  /** Refuses a client, or counts it until its transport ends. That does not wait for the last hook. */
  #admit(client: Client, remoteAddress: string): Refusal | undefined {
    const network = networkOf(remoteAddress);
    const refusal = this.#refuseAll?.() ?? this.#capacity.admit(network);
    if (refusal === undefined) client.network = network;
    return refusal;
  }

  #accept(client: Client, request: ConnectionRequest, match: Match, service: Service): void {
    // Capacity counts sockets.
    const isShared = service.socketRooms !== undefined;
    const refusal = isShared ? this.#refuseAll?.() : this.#admit(client, request.remoteAddress);
    if (refusal !== undefined) {
      this.#refuse(client, refusal, request);
      return;
    }
    const span = traces.handshake.hasSubscribers ? new HandshakeTrace(this.#deps.app, request, match.route) : undefined;
    const candidate: Candidate = { client, request, match, service, span };
    if (span === undefined) this.#startHandshake(candidate);
    else span.run(() => this.#startHandshake(candidate));
  }

  #track(transport: Transport): Client {
    const client = new Client(transport, this.#onEnd);
    this.#clients.add(client);
    transport.whenGone(client);
    return client;
  }

  readonly #onEnd = (client: Client): void => {
    this.#clients.delete(client);
    if (client.network !== undefined) this.#capacity.release(client.network);
    // It does not wait any more, even if its `authorize` has not settled.
    this.#handshakes.end(client);
  };

  #refuse(client: Client, refusal: Refusal, request: RefusedRequest): void {
    const canUpgrade = () => this.#refuseAll === undefined && this.#reserveCapacity(client, request.remoteAddress);
    const closing = this.#refuser.refuse(client.transport, refusal, request, canUpgrade);
    if (closing !== undefined) this.#pending.add(closing);
  }

  /** Returns true when a refused client counts as a connection until it has answered the close. */
  #reserveCapacity(client: Client, remoteAddress: string): boolean {
    if (client.network !== undefined) return true;
    const network = networkOf(remoteAddress);
    if (this.#capacity.admit(network) !== undefined) return false;
    client.network = network;
    return true;
  }

  readonly #onRefused: RefusalListener = (request, refusal) => {
    this.#deps.counters.totals.refused += 1;
    if (channels.refused.hasSubscribers) this.#deps.reporter.onRefused(withoutSecrets(request), refusal);
  };

  /** Returns a promise for the asynchronous part of the handshake, if it has one. The promise never rejects. */
  #startHandshake(candidate: Candidate): Promise<void> | undefined {
    try {
      const { match, request } = candidate;
      const { origin } = request.headers;
      if (!match.route.allowsOrigin(origin, request.host)) throw new ForeignOriginError(origin ?? "");
      const handler = this.#deps.handlers.make(match.route.handlerClass);
      const context = this.#contextOf(candidate);
      bind(handler, context);
      if (hasChecks(match.route, handler)) return this.#pending.add(this.#authorize(candidate, handler, context));
      this.#open(candidate, handler, context);
    } catch (error) {
      this.#refuseCandidate(candidate, error);
    }
    return undefined;
  }

  #contextOf({ client, request, match }: Candidate): HandlerContext {
    return {
      id: newConnectionId(),
      config: this.#configs.of(match.route).handler,
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
    const { client, match, request } = candidate;
    const pending = this.#handshakes.begin(client);
    try {
      await this.#authorizer.authorize(match.route, handler, context);
      pending.check(context.user);
      if (!client.isOver) this.#open(candidate, handler, context);
    } catch (error) {
      this.#refuseCandidate(candidate, error);
    } finally {
      request.dropRaw();
      this.#handshakes.end(client);
    }
  }

  #refuseCandidate({ client, request, match, span }: Candidate, error: unknown): void {
    request.dropRaw();
    client.end();
    const refusal = this.#refuser.refusalOf(error, match.route, request.host);
    this.#refuse(client, refusal, request);
    span?.onRefused(refusal.status, error);
  }

  /** Opens the connection. If the transport cannot open, it has answered the client itself. */
  #open(candidate: Candidate, handler: AnyHandler, context: HandlerContext): void {
    const { client, request, match, service, span } = candidate;
    if (this.#refuseAll !== undefined) throw new RefusedError(this.#refuseAll());
    // Checked here, since the connection enters its room in this same call: no other one can take the space.
    if (service.isConnection) this.#checkSpace(request, context, service.socketRooms);
    const { transport } = client;
    const config = this.#configs.of(match.route);
    if (!transport.open(config.transport)) {
      this.#onRefused(request, malformed);
      span?.onRefused(400);
      return;
    }
    const { id, user } = context;
    const dialect = service.dialectOf(transport, request, match.route.room.eventProtocol);
    const member = new Peer({ id, request, user, lifetime: client, transport, dialect }, config.peer);
    member.isTapped = this.#deps.reporter.messageTaps.watchesConnection(member);
    context.member = member;
    if (service.isConnection) this.#deps.counters.totals.opened += 1;
    span?.onOpened(service.status, member);
    request.dropRaw();
    // The connections of one socket share its headers.
    if (service.socketRooms === undefined) request.pack();
    const session = new Session(handler, context, member, config.session);
    this.#pending.begin();
    service.run(session, service.isConnection ? this.#pending.end : this.#exchange(session));
  }

  /** Returns a function to call at the end of an exchange. */
  #exchange(session: Session): () => void {
    this.#exchanges.add(session);
    return () => {
      this.#exchanges.delete(session);
      this.#pending.end();
    };
  }

  /** @throws RefusedError when a limit of rooms or of the user is reached. */
  #checkSpace({ path }: ConnectionRequest, { user }: HandlerContext, socketRooms: SocketRooms | undefined): void {
    const { app, userLimit } = this.#deps;
    if (!app.registry.hasSpace(path)) throw new RefusedError(busy("rooms", "Too many rooms"));
    const tooMany = userLimit.admit(app.registry, user, socketRooms);
    if (tooMany !== undefined) throw new RefusedError(tooMany);
  }
}
