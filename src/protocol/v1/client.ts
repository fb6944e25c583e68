import { isConnectionId } from "../../backplane/connectionId.js";
import type { ConnectionRequest } from "../../connection/request.js";
import { secretPrefix } from "../../wire/frames.js";
import { type Position, readPosition } from "../../wire/position.js";

/** What a client of `enfilade.v1` says about itself when it connects. */
export interface V1Client {
  /** The id that it keeps over all its connections; `undefined` if it has none. */
  readonly name: string | undefined;
  /** Shows that it is the same client; `undefined` on its first connection. */
  readonly secret: string | undefined;
  /** The last position that it received. */
  readonly since: Position | "invalid" | undefined;
  /** The last positions in the rooms that it was in besides its home, by path; `undefined` if there is none. */
  readonly joined: Map<string, Position> | undefined;
}

/** The rooms whose positions are read. */
const joinedMax = 128;

/** @param secret The secret, if the client sent it in another way than among the subprotocols. */
export function clientOf({ query, headers }: ConnectionRequest, secret?: string): V1Client {
  const name = query.get("client");
  const since = query.get("since");
  return {
    name: name !== null && /^[\w-]{16,64}$/.test(name) ? name : undefined,
    secret: validSecret(secret ?? secretAmong(headers["sec-websocket-protocol"])),
    since: since === null ? undefined : (readPosition(since) ?? "invalid"),
    joined: joinedOf(query.getAll("joined")),
  };
}

/** Each value is a position and a path: `epoch:offset:/path`. */
function joinedOf(values: readonly string[]): Map<string, Position> | undefined {
  if (values.length === 0) return undefined;
  const positions = new Map<string, Position>();
  for (const value of values.slice(0, joinedMax)) {
    const at = value.indexOf(":/");
    const position = readPosition(value.slice(0, at));
    if (position !== undefined) positions.set(value.slice(at + 1), position);
  }
  return positions;
}

function secretAmong(offered = ""): string | undefined {
  const entry = offered.split(",").find((one) => one.trimStart().startsWith(secretPrefix));
  return entry?.trim().slice(secretPrefix.length);
}

/** `undefined` for a secret that no server can have made. */
function validSecret(secret: string | undefined): string | undefined {
  return secret !== undefined && isConnectionId(secret) ? secret : undefined;
}
