import type { Registry } from "../room/registry.js";
import { CloseCode } from "../wire/closeCodes.js";
import { encodeEvent, Payload } from "../wire/payload.js";
import type { Connections } from "./lists/connections.js";
import type { Rooms } from "./lists/rooms.js";
import { usersOf } from "./lists/users.js";
import type { Answer, Args, DirectMessage, Method } from "./nodes/methods.js";
import type { OverviewSource } from "./overview.js";
import type { Departures } from "./records/departures.js";
import type { Errors } from "./records/errors.js";

export interface LocalNodeDeps {
  readonly node: string;
  readonly registry: Registry;
  readonly overview: OverviewSource;
  readonly rooms: Rooms;
  readonly connections: Connections;
  readonly departures: Departures;
  readonly errors: Errors;
}

/** Milliseconds for a client that is asked to reconnect. */
const moveMs = 30_000;

type Answerers = { readonly [Name in Method]: (args: Args<Name>) => Answer<Name> | Promise<Answer<Name>> };

/** Answers the questions of all nodes about this one. */
export class LocalNode {
  readonly #deps: LocalNodeDeps;
  readonly #answerers: Answerers;

  constructor(deps: LocalNodeDeps) {
    this.#deps = deps;
    const { node, registry, overview, rooms, connections, departures, errors } = deps;
    this.#answerers = {
      overview: () => overview.read(),
      rooms: (query) => rooms.list(query),
      connections: (query) => connections.list(query),
      connection: ({ id }) => connections.details(id) ?? null,
      members: ({ path, after, rowsMax }) => connections.membersOf(path, after, rowsMax),
      users: (query) => usersOf(registry, node, query),
      departures: ({ after, rowsMax }) => departures.list(after, rowsMax),
      errors: ({ after, rowsMax }) => errors.list(after, rowsMax),
      count: ({ topic }) => registry.membersOf(topic)?.size ?? 0,
      send: ({ id, message }) => this.#send(id, message),
      close: ({ id, code, reason }) => this.#close(id, code, reason),
      move: ({ id }) => this.#move(id),
    };
  }

  answer<Name extends Method>(method: Name, args: Args<Name>): Answer<Name> | Promise<Answer<Name>> {
    return this.#answerers[method](args);
  }

  #send(id: string, message: DirectMessage): boolean {
    const member = this.#deps.registry.memberships.get(id);
    if (member === undefined) return false;
    member.send(this.#payloadOf(message, member.home));
    return true;
  }

  #payloadOf(message: DirectMessage, home: string): Payload {
    if (message.kind === "text") return Payload.text(message.data);
    if (message.kind === "json") return Payload.json(message.data);
    const { registry } = this.#deps;
    const { eventProtocol } = registry.configOf(registry.pathOf(home));
    const { event, data } = message;
    return encodeEvent({ kind: "event", event, data }, eventProtocol);
  }

  #close(id: string, code: number, reason: string): boolean {
    const connection = this.#deps.registry.connection(id);
    connection?.close(code, reason);
    return connection !== undefined;
  }

  #move(id: string): boolean {
    const member = this.#deps.registry.memberships.get(id);
    if (member === undefined) return false;
    const bytes = member.dialect.encodeDrain(moveMs, 0);
    if (bytes === undefined) member.requestClose(CloseCode.serviceRestart, "service restart");
    else member.push(bytes, undefined);
    return true;
  }
}
