import { readFileSync } from "node:fs";
import { reliable } from "../connection/policy.js";
import { EnfiladeError, HttpError } from "../errors.js";
import { WebSocketHandler } from "../handler/handler.js";
import type { Extension, ExtensionHost } from "../server/extensions/extension.js";
import { jsonEvents } from "../wire/events/jsonEvents.js";
import { roomName } from "../wire/path.js";
import { Guard } from "./access/guard.js";
import { Signer } from "./access/signer.js";
import { Actions } from "./calls/actions.js";
import { Queries } from "./calls/queries.js";
import { Assets } from "./http/assets.js";
import { Connections, isAtOrBelow } from "./lists/connections.js";
import { Rooms } from "./lists/rooms.js";
import { liveHandler } from "./live/liveHandler.js";
import { NodeTaps } from "./live/nodeTaps.js";
import { Operators } from "./live/operators.js";
import { LocalNode } from "./localNode.js";
import type { Told } from "./nodes/methods.js";
import { Nodes } from "./nodes/nodes.js";
import { type AdminConfig, type AdminOptions, adminConfigOf } from "./options.js";
import { OverviewSource } from "./overview.js";
import { Departures } from "./records/departures.js";
import { Errors } from "./records/errors.js";
import { OpenTimes } from "./records/openTimes.js";
import { Requests } from "./requests.js";
import { RouteFinder } from "./routeFinder.js";

/**
 * Pages for operators, and the same data as JSON: rooms, connections, users, live traffic, and what happened to
 * clients. An extension, for `app.use()`.
 *
 * ```ts
 * // `operatorOf` returns the name of the operator who sends this request, or refuses it; the guide "Admin" has one.
 * app.use(admin({ authorize: (request) => operatorOf(request) }));
 * ```
 *
 * Pages and calls are below `path`. Each request is authorized by itself. Calls that change something need the origin
 * of the page and a token, and each is one audit entry. With Redis or NATS, the pages of one node show all nodes.
 *
 * @throws EnfiladeError `ERR_OPTION` for an invalid option; `ERR_PATH` for an invalid path. `app.use()` throws
 *   `ERR_OPTION` when the app has Redis or NATS, and `secret` is missing.
 */
export function admin(options: AdminOptions): Extension {
  const config = adminConfigOf(options);
  let running: RunningAdmin | undefined;
  return {
    name: "admin",
    path: config.path,
    install(app) {
      if (running?.isClosed === false) {
        throw new EnfiladeError("ERR_OPTION", "an app has this admin already; call admin() once for each app");
      }
      running = new RunningAdmin(app, config);
    },
    onRequest: (request) => running?.requests.answer(request),
    onStart: () => running?.start(),
    onClose: () => running?.close(),
  };
}

/** The admin of one app. */
class RunningAdmin {
  readonly requests: Requests;
  isClosed = false;
  readonly #app: ExtensionHost;
  readonly #nodes: Nodes;
  readonly #taps: NodeTaps;
  readonly #operators: Operators;
  readonly #overview: OverviewSource;
  readonly #endings: (() => void)[];

  constructor(app: ExtensionHost, config: AdminConfig) {
    this.#app = app;
    checkSecret(app, config);
    const { node, limits, secret } = config;
    const { registry } = app;
    const { clock } = registry;
    const base = config.path === "/" ? "" : config.path;
    const signer = new Signer(secret);
    // Unguessable, so that no code that joins or addresses rooms for clients can reach it.
    const room = roomName(`${base}/nodes/${signer.sign("room", config.path)}`);
    const report = (error: unknown) => app.logger.error("enfilade: an error of the admin", error);
    const routes = new RouteFinder(() => app.routes);
    const routeOf = (path: string) => routes.find(path);
    const openTimes = new OpenTimes();
    const departures = new Departures(node, limits.departuresMax);
    const errors = new Errors(node, limits.errorsMax, routeOf);
    this.#endings = [openTimes.start(app), departures.start(app), errors.start(app)];
    this.#overview = new OverviewSource(node, app, clock);
    const rooms = new Rooms(registry, room);
    const connections = new Connections(node, registry, openTimes, routeOf);
    const local = new LocalNode({ node, registry, overview: this.#overview, rooms, connections, departures, errors });
    this.#nodes = new Nodes({
      self: node,
      room,
      registry,
      signer,
      clock,
      answerMs: limits.nodeAnswerMs,
      nodeCount: () => app.status().backplane.nodes,
      service: {
        answer: (method, args) => local.answer(method, args),
        receive: (told, from) => this.#receive(told, from),
      },
      report,
    });
    const queries = new Queries({ app, nodes: this.#nodes, self: node, routes, limits });
    const isOwn = (path: string) => isAtOrBelow(path, `${base}/live`) || path === room;
    this.#taps = new NodeTaps({ app, node, clock, isOwn });
    this.#operators = new Operators({
      clock,
      limits,
      taps: this.#taps,
      tellAll: (told) => this.#nodes.tell(told),
      overview: () => queries.overview(),
      report,
    });
    const guard = new Guard(config, signer, clock);
    const actions = new Actions({ app, nodes: this.#nodes, systemMessage: config.systemMessage });
    const warn = (line: string) => app.logger.warn(line);
    const assets = new Assets();
    this.requests = new Requests({ config, guard, assets, queries, actions, version: ownVersion(), warn, report });
    const live = { origins: "same-host", eventProtocol: jsonEvents, policy: reliable } as const;
    app.route(`${base}/live`, liveHandler(guard, this.#operators), live);
    app.route(`${base}/nodes/:name`, NoClients);
  }

  start(): void {
    this.#overview.start();
    if (this.#app.status().backplane.engine !== "memory") this.#nodes.start();
  }

  close(): void {
    this.isClosed = true;
    this.#overview.stop();
    this.#operators.stop();
    this.#taps.closeAll();
    this.#nodes.close();
    for (const end of this.#endings) end();
  }

  #receive(told: Told, from: string): void {
    if (told.method === "untap") this.#taps.close(told.key);
    else if (told.method === "entries") this.#operators.deliver(told.key, told.batch);
    else {
      const { key, filter } = told;
      this.#taps.lend(key, filter, (batch) => this.#nodes.tell({ method: "entries", key, batch }, from));
    }
  }
}

/** The room of the nodes takes no client. */
class NoClients extends WebSocketHandler {
  override authorize(): never {
    throw new HttpError(404);
  }

  override onMessage(): void {
    // No client gets here.
  }
}

function checkSecret(app: ExtensionHost, { secret }: AdminConfig): void {
  const { engine } = app.status().backplane;
  if (engine === "memory" || secret !== undefined) return;
  const reason = "the nodes trust messages and tokens of each other by it";
  throw new EnfiladeError("ERR_OPTION", `admin() needs secret with ${engine}: ${reason}; pass the same on all nodes`);
}

/** The version of this package; this file is in `src/admin` or `dist/admin`. */
function ownVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return String(JSON.parse(text).version);
}
