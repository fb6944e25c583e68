import type { Clock } from "../../connection/clock.js";
import type { MemoryLedger } from "../../connection/memory/ledger.js";
import { Flusher } from "../../connection/outbox/flusher.js";
import type { Peer } from "../../connection/peer.js";
import type { PeerConfig } from "../../connection/peerConfig.js";
import type { FrameReceiver, TransportOptions } from "../../connection/transport.js";
import type { AttentiveClocks } from "../../connection/watch/attentiveClock.js";
import { Watches } from "../../connection/watch/watch.js";
import type { Counters } from "../../counters.js";
import { channels } from "../../diagnostics.js";
import type { CloseInfo } from "../../errors.js";
import type { Application } from "../../handler/application.js";
import type { HandlerConfig } from "../../handler/context.js";
import type { Interceptor, Reader } from "../../handler/reader.js";
import type { SessionConfig } from "../../handler/session/config.js";
import type { Member } from "../../protocol/dialect.js";
import type { Dialects } from "../../protocol/dialects.js";
import type { Reporter } from "../diagnostics/reporter.js";
import type { Limits } from "../limits.js";
import { describeRoute, type Route } from "../router.js";
import type { Warnings } from "../warnings.js";
import type { Authorizer } from "./authorization.js";
import type { Refuser } from "./refuser.js";

/** The configuration that all connections of one route share. */
export interface RouteConfig {
  readonly transport: TransportOptions;
  readonly handler: HandlerConfig;
  readonly peer: PeerConfig<Peer>;
  readonly session: SessionConfig;
}

/** What the connections of all routes share. */
export interface ConnectionDeps {
  readonly app: Application;
  readonly dialects: Dialects;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly memory: MemoryLedger;
  readonly reporter: Reporter;
  readonly receiver: FrameReceiver;
  /** Receives errors. `thrower` names the method that threw the error, for the log. */
  readonly report: (error: Error, member?: Member, thrower?: string) => void;
  readonly onOpened: (member: Member) => void;
  readonly onClosed: (member: Member, info: CloseInfo) => void;
}

interface Collaborators {
  readonly attentiveClocks: AttentiveClocks;
  readonly authorizer: Authorizer;
  readonly refuser: Refuser;
  readonly warnings: Warnings;
}

/** The configuration of each route's connections, made for its first connection. */
export class RouteConfigs {
  readonly #deps: ConnectionDeps;
  readonly #with: Collaborators;
  readonly #flusher: Flusher;
  readonly #configs = new Map<Route, RouteConfig>();
  readonly #interceptors: Interceptor[] = [];

  constructor(deps: ConnectionDeps, collaborators: Collaborators) {
    const { clock, counters, limits } = deps;
    this.#deps = deps;
    this.#with = collaborators;
    this.#flusher = new Flusher({ clock, counters, flushConnectionsMax: limits.flushConnectionsMax });
  }

  /** Intercepts the messages of connections that open from now on. */
  intercept(interceptor: Interceptor): void {
    this.#interceptors.push(interceptor);
    // The config of each route is built again for its next connection.
    this.#configs.clear();
  }

  of(route: Route): RouteConfig {
    const cached = this.#configs.get(route);
    if (cached !== undefined) return cached;
    const config: RouteConfig = {
      transport: this.#transportOptionsOf(route),
      handler: this.#handlerConfigOf(route),
      peer: this.#peerConfigOf(route),
      session: this.#sessionConfigOf(route),
    };
    this.#configs.set(route, config);
    return config;
  }

  #transportOptionsOf({ limits, compression, subprotocols }: Route): TransportOptions {
    const { clock, dialects, receiver } = this.#deps;
    return { ...limits, clock, compression, receiver, subprotocols: [...dialects.subprotocols, ...subprotocols] };
  }

  #handlerConfigOf({ room, policy }: Route): HandlerConfig {
    const { app } = this.#deps;
    const { eventProtocol, eventPolicies } = room;
    return { app, publisher: app.registry.publisher, eventProtocol, policy, eventPolicies };
  }

  #peerConfigOf({ limits }: Route): PeerConfig<Peer> {
    const { memory, counters, reporter: observer } = this.#deps;
    const clock = this.#with.attentiveClocks.of(limits);
    const watches = new Watches(clock, limits, memory.incoming);
    return { limits, clock, counters, memory, observer, flusher: this.#flusher, watches };
  }

  #sessionConfigOf(route: Route): SessionConfig {
    const { app, report } = this.#deps;
    const { authorizer, refuser, warnings } = this.#with;
    const { limits, name: channel, closeOnLastRoomLeft, replay } = route;
    const onTimeout = () => refuser.warnOfTimeout(route, "the client was closed with 1013");
    return {
      route: route.pattern,
      registry: app.registry,
      reader: this.#withInterceptors(route.reader),
      onEntered: this.#onEntered,
      onLeft: this.#onLeft,
      member: { channel, joinsMax: limits.joinsMax, closeOnLastRoomLeft, replay },
      reauthorize: (handler, request) => authorizer.reauthorize(route, handler, request, onTimeout),
      report,
      owner: describeRoute(route),
      warn: (kind, message) => warnings.once(kind, route.pattern, message),
    };
  }

  /** Adds the interceptors to a reader. Decided once for each route, so that without interceptors nothing is added. */
  #withInterceptors(reader: Reader): Reader {
    if (this.#interceptors.length === 0) return reader;
    return { ...reader, read: reader.intercepted([...this.#interceptors]) };
  }

  readonly #onEntered = (member: Member): void => {
    if (channels.opened.hasSubscribers) this.#deps.reporter.onOpened(member);
    this.#deps.onOpened(member);
  };

  readonly #onLeft = (member: Member, info: CloseInfo): void => {
    this.#deps.counters.totals.closed += 1;
    if (channels.closed.hasSubscribers) this.#deps.reporter.onClosed(member, info);
    this.#deps.onClosed(member, info);
  };
}
