import { HttpError } from "../../errors.js";
import type { ExtensionHost } from "../../server/extensions/extension.js";
import type {
  ChannelsInfo,
  ConnectionDetails,
  ConnectionsPage,
  DeparturesPage,
  ErrorsPage,
  MembersPage,
  Overview,
  RoomDetails,
  RoomsPage,
  UsersPage,
} from "../api.js";
import { Fields } from "../http/fields.js";
import type { AdminLimits } from "../limits.js";
import { mergedPage } from "../lists/firstRows.js";
import { mergedRooms } from "../lists/rooms.js";
import { mergedUsers } from "../lists/users.js";
import type { Args } from "../nodes/methods.js";
import type { Nodes } from "../nodes/nodes.js";
import type { RouteFinder } from "../routeFinder.js";
import { historyOf, presenceOf } from "./room.js";

export interface QueriesDeps {
  readonly app: ExtensionHost;
  readonly nodes: Nodes;
  readonly self: string;
  readonly routes: RouteFinder;
  readonly limits: AdminLimits;
}

const pageEntries = 50;
const membersEntries = 100;

/** The calls that change nothing, by their names. */
export class Queries {
  readonly #deps: QueriesDeps;
  readonly #calls: ReadonlyMap<string, (query: URLSearchParams) => unknown>;

  constructor(deps: QueriesDeps) {
    this.#deps = deps;
    this.#calls = new Map<string, (query: URLSearchParams) => unknown>([
      ["overview", () => this.overview()],
      ["rooms", (query) => this.#rooms(query)],
      ["room", (query) => this.#room(query)],
      ["members", (query) => this.#members(query)],
      ["connections", (query) => this.#connections(query)],
      ["connection", (query) => this.#connection(query)],
      ["users", (query) => this.#users(query)],
      ["departures", (query) => this.#departures(query)],
      ["errors", (query) => this.#errors(query)],
      ["channels", () => this.#channels()],
    ]);
  }

  has(name: string): boolean {
    return this.#calls.has(name);
  }

  /** Calls a query that {@link has} knows. */
  call(name: string, query: URLSearchParams): unknown {
    return this.#calls.get(name)?.(query);
  }

  async overview(): Promise<Overview> {
    const { nodes, self } = this.#deps;
    const { values, missing } = await nodes.askAll("overview", null);
    const all = [...values].map(([node, overview]) => ({ ...overview, isThis: node === self }));
    return { at: Date.now(), nodes: all.sort((one, other) => (one.node < other.node ? -1 : 1)), missing };
  }

  async #rooms(query: URLSearchParams): Promise<RoomsPage> {
    const fields = new Fields(query, ["under", "search", "after", "limit"]);
    const { limit, after } = this.#pageOf(fields);
    const under = this.#deps.app.registry.pathOf(fields.optionalText("under") ?? "/");
    const args = { under, search: fields.optionalText("search"), after, rowsMax: limit + 1 };
    const { values, missing } = await this.#deps.nodes.askAll("rooms", args);
    const { rows: rooms, ...rest } = mergedPage(values.values(), limit, mergedRooms);
    return { rooms, ...rest, missing };
  }

  async #room(query: URLSearchParams): Promise<RoomDetails> {
    const { app, nodes, routes } = this.#deps;
    const path = app.registry.pathOf(new Fields(query, ["path"]).text("path"));
    const room = app.registry.room(path);
    const [counts, members, presence, history] = await Promise.all([
      nodes.askAll("count", { topic: path }),
      this.#membersOf(path, undefined, membersEntries),
      presenceOf(app.registry, room),
      historyOf(app.registry, room),
    ]);
    const route = routes.find(path);
    const memberCount = [...counts.values.values()].reduce((sum, count) => sum + count, 0);
    const hasHistory = app.registry.historyConfig(path) !== undefined;
    return { path, ...(route !== undefined && { route }), memberCount, members, presence, history, hasHistory };
  }

  #members(query: URLSearchParams): Promise<MembersPage> {
    const fields = new Fields(query, ["path", "after", "limit"]);
    const { limit, after } = this.#pageOf(fields, membersEntries);
    return this.#membersOf(this.#deps.app.registry.pathOf(fields.text("path")), after, limit);
  }

  async #membersOf(path: string, after: string | undefined, limit: number): Promise<MembersPage> {
    const { values, missing } = await this.#deps.nodes.askAll("members", { path, after, rowsMax: limit + 1 });
    const { rows: members, ...rest } = mergedPage(values.values(), limit);
    return { members, ...rest, missing };
  }

  async #connections(query: URLSearchParams): Promise<ConnectionsPage> {
    const fields = new Fields(query, ["search", "user", "path", "address", "node", "after", "limit"]);
    const { limit, after } = this.#pageOf(fields);
    const path = fields.optionalText("path");
    const args = {
      search: fields.optionalText("search"),
      user: fields.optionalText("user"),
      path: path === undefined ? undefined : this.#deps.app.registry.pathOf(path),
      address: fields.optionalText("address"),
      after,
      rowsMax: limit + 1,
    };
    const node = fields.optionalText("node");
    const { values, missing } = await this.#askSome(node, args);
    const { rows: connections, ...rest } = mergedPage(values, limit);
    return { connections, ...rest, missing };
  }

  async #askSome(node: string | undefined, args: Args<"connections">) {
    const { nodes } = this.#deps;
    if (node !== undefined) return { values: [await nodes.ask(node, "connections", args)], missing: [] };
    const { values, missing } = await nodes.askAll("connections", args);
    return { values: [...values.values()], missing };
  }

  async #connection(query: URLSearchParams): Promise<ConnectionDetails> {
    const fields = new Fields(query, ["node", "id"]);
    const details = await this.#deps.nodes.ask(fields.text("node"), "connection", { id: fields.text("id") });
    if (details === null) throw new HttpError(404, "The node has no connection with this id; it may have ended");
    return details;
  }

  async #users(query: URLSearchParams): Promise<UsersPage> {
    const fields = new Fields(query, ["search", "after", "limit"]);
    const { limit, after } = this.#pageOf(fields);
    const args = { search: fields.optionalText("search"), after, rowsMax: limit + 1 };
    const { values, missing } = await this.#deps.nodes.askAll("users", args);
    const { rows: users, ...rest } = mergedPage(values.values(), limit, mergedUsers);
    return { users, ...rest, missing };
  }

  async #departures(query: URLSearchParams): Promise<DeparturesPage> {
    const { args, limit } = this.#recordsOf(query);
    const { values, missing } = await this.#deps.nodes.askAll("departures", args);
    const { rows: departures, ...rest } = mergedPage(values.values(), limit);
    return { departures, ...rest, missing };
  }

  async #errors(query: URLSearchParams): Promise<ErrorsPage> {
    const { args, limit } = this.#recordsOf(query);
    const { values, missing } = await this.#deps.nodes.askAll("errors", args);
    const { rows: errors, ...rest } = mergedPage(values.values(), limit);
    return { errors, ...rest, missing };
  }

  #recordsOf(query: URLSearchParams): { args: Args<"errors">; limit: number } {
    const { limit, after } = this.#pageOf(new Fields(query, ["after", "limit"]));
    return { args: { after, rowsMax: limit + 1 }, limit };
  }

  #channels(): ChannelsInfo {
    const named = this.#deps.app.routes.flatMap(({ name, pattern }) => (name === undefined ? [] : { name, pattern }));
    return { channels: named };
  }

  #pageOf(fields: Fields, normal = pageEntries): { limit: number; after: string | undefined } {
    return {
      limit: fields.limit(normal, this.#deps.limits.listEntriesMax),
      after: fields.optionalText("after"),
    };
  }
}
