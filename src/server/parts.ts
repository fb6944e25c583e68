import type { Backplane } from "../backplane/backplane.js";
import { BackplaneLease } from "../backplane/lease.js";
import { MemoryBackplane } from "../backplane/memory.js";
import type { RevokedClients } from "../backplane/topic.js";
import { type Clock, systemClock } from "../connection/clock.js";
import { MemoryLedger } from "../connection/memory/ledger.js";
import { Counters } from "../counters.js";
import type { Member } from "../protocol/dialect.js";
import { Dialects } from "../protocol/dialects.js";
import { Registry } from "../room/registry.js";
import type { RoomPath } from "../wire/path.js";
import { Acceptor } from "./acceptor.js";
import { type SourceFinder, sourceFinder } from "./access/proxies.js";
import { UserLimit } from "./access/userLimit.js";
import { AppNotifier } from "./appEvents.js";
import { HandlerFactory } from "./creation.js";
import { GuardedLogger } from "./diagnostics/guardedLogger.js";
import { Health } from "./diagnostics/health.js";
import { Reporter } from "./diagnostics/reporter.js";
import { RouteWarnings } from "./diagnostics/routeWarnings.js";
import { Taps } from "./diagnostics/taps.js";
import { Shutdown } from "./end/shutdown.js";
import type { ExtensionHost } from "./extensions/extension.js";
import { Extensions } from "./extensions/extensions.js";
import { PlainRequests } from "./extensions/plainRequests.js";
import { RoomRequests } from "./http/roomRequests.js";
import { defaultLimits, type Limits, mergeLimits } from "./limits.js";
import { OwnServer } from "./listening.js";
import { type AppOptions, checkAppOptions, type Logger } from "./options.js";
import { type Route, Router } from "./router.js";
import { rootConfig, Scope } from "./scope.js";
import type { RefusalTime } from "./websocket/upgrade.js";

type Report = (error: unknown, member?: Member, thrower?: string) => void;

/** What the parts of an app are made of. */
interface Base {
  readonly app: ExtensionHost;
  readonly options: AppOptions;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly reporter: Reporter;
  readonly events: AppNotifier;
  readonly report: Report;
  readonly counters: Counters;
}

/** What carries publications, and what is kept of them. */
interface Carriers {
  readonly backplane: Backplane;
  /** Used unless the options have a backplane. Its history is freed when the app is closed. */
  readonly memory: MemoryBackplane;
  readonly ledger: MemoryLedger;
  readonly dialects: Dialects;
}

/** What leads a client to its handler. */
interface Routing {
  readonly router: Router;
  readonly handlers: HandlerFactory;
  readonly scope: Scope;
  /** Finds the client behind trusted proxies. */
  readonly sourceOf: SourceFinder;
}

/** The parts of an app. */
export interface Parts {
  readonly router: Router;
  readonly scope: Scope;
  readonly registry: Registry;
  readonly backplane: Backplane;
  readonly ledger: MemoryLedger;
  readonly counters: Counters;
  readonly logger: Logger;
  readonly events: AppNotifier;
  readonly taps: Taps;
  readonly health: Health;
  readonly acceptor: Acceptor;
  readonly extensions: Extensions;
  readonly plainRequests: PlainRequests;
  readonly ownServer: OwnServer;
  readonly refusalTime: RefusalTime;
  /** Each detaches the app from a server. */
  readonly detachments: (() => void)[];
  readonly shutdown: Shutdown;
}

/**
 * Makes the parts of an app, and registers the handlers of its options.
 *
 * @throws EnfiladeError `ERR_OPTION` when an option is unknown or its value is invalid; the errors of routes.
 */
export function makeParts(app: ExtensionHost, options: AppOptions): Parts {
  checkAppOptions(options);
  const base = baseOf(app, options);
  const { limits, clock, logger, report, events, counters } = base;
  const carriers = carriersOf(base);
  const routing = routingOf(base);
  const acceptor = acceptorOf(base, carriers, routing);
  const taps = new Taps({ app, limits, report, messageTaps: base.reporter.messageTaps });
  const refusalTime = { clock, closeMs: limits.closeMs };
  const ownServer = new OwnServer(limits.handshakeMs, refusalTime);
  for (const handlerClass of options.handlers ?? []) routing.scope.declareOwn(handlerClass);
  // Last, since it connects to the backplane: a constructor that throws must leave no connection open.
  const registry = registryOf(base, carriers, routing, acceptor);
  const { backplane, memory } = carriers;
  const health = new Health({ backplane, clock, limits, status: () => app.status() });
  const extensions = new Extensions({ app, report });
  const detachments: (() => void)[] = [];
  const ending = { acceptor, ownServer, detachments, extensions, registry, backplane, memory, taps, health };
  const shutdown = new Shutdown({ ...ending, dialects: carriers.dialects, clock, limits, logger });
  const { router, scope, sourceOf } = routing;
  const roomRequests = new RoomRequests({
    acceptor,
    dialects: carriers.dialects,
    registry,
    backplane,
    limits,
    sourceOf,
    report,
  });
  const plainRequests = new PlainRequests({
    acceptor,
    extensions,
    roomRequests,
    shutdown,
    sourceOf,
    limits,
    report,
  });
  const { ledger } = carriers;
  return { ...ending, plainRequests, router, scope, ledger, counters, logger, events, refusalTime, shutdown };
}

function baseOf(app: ExtensionHost, options: AppOptions): Base {
  const limits = mergeLimits(defaultLimits, options.limits);
  const logger = new GuardedLogger(options.logger ?? console);
  const reporter = new Reporter(app);
  const events = new AppNotifier(logger, reporter);
  const report: Report = (error, member, thrower) => events.onError(error, member, thrower);
  const clock = options.clock ?? systemClock;
  return { app, options, limits, clock, logger, reporter, events, report, counters: new Counters() };
}

function carriersOf({ options, limits, clock, logger, counters }: Base): Carriers {
  const memory = new MemoryBackplane({ clock, limits });
  const backplane = new BackplaneLease(options.backplane ?? memory);
  const warn = (message: string) => logger.warn(message);
  const historyBytes = () => backplane.status().historyBytes;
  const ledger = new MemoryLedger({ bytesMax: limits.memoryBytesMax, counters, warn, historyBytes });
  const dialects = new Dialects({ clock, limits, claims: backplane.claims, memory: ledger });
  return { backplane, memory, ledger, dialects };
}

function routingOf({ options, limits, logger }: Base): Routing {
  const router = new Router();
  const handlers = new HandlerFactory(options.create);
  const warnings = new RouteWarnings(logger);
  const register = (route: Route) => {
    handlers.check(route.handlerClass);
    router.add(route);
    warnings.check(route);
  };
  const scope = new Scope(rootConfig(options, limits), register);
  return { router, handlers, scope, sourceOf: sourceFinder(options.trustProxy) };
}

function acceptorOf(base: Base, { dialects, ledger }: Carriers, { router, handlers, sourceOf }: Routing): Acceptor {
  const { app, options, limits, clock, logger, reporter, events, report, counters } = base;
  return new Acceptor({
    app,
    sourceOf,
    compression: options.compression ?? false,
    receiver: options.receiver ?? "direct",
    userLimit: new UserLimit(limits.connectionsPerUserMax, options.userOverflow),
    router,
    handlers,
    dialects,
    counters,
    memory: ledger,
    limits,
    clock,
    reporter,
    report,
    warn: (message) => logger.warn(message),
    onOpened: (member) => events.onOpened(member),
    onClosed: (member, info) => events.onClosed(member, info),
  });
}

function registryOf(base: Base, { backplane }: Carriers, { router }: Routing, acceptor: Acceptor): Registry {
  const { options, limits, clock, report, reporter } = base;
  return new Registry({
    limits,
    clock,
    report,
    backplane,
    random: options.random ?? Math.random,
    outage: options.backplaneOutage ?? "reject",
    observer: reporter,
    onRevoked: (clients: RevokedClients) => acceptor.onRevoked(clients),
    configOf: (path: RoomPath) => router.configOf(path),
  });
}
