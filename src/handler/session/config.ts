import type { CloseInfo } from "../../errors.js";
import type { Member } from "../../protocol/dialect.js";
import type { MemberConfig } from "../../room/memberships.js";
import type { Registry } from "../../room/registry.js";
import type { Reader, WarningKind } from "../reader.js";
import type { Reauthorize } from "./credentialRefresh.js";

/** Shared by all sessions of one route. */
export interface SessionConfig {
  /** The pattern of the route. */
  readonly route: string;
  readonly registry: Registry;
  readonly reader: Reader;
  readonly member: MemberConfig;
  /** Calls `authorize` of the app, its scopes and the handler again. */
  readonly reauthorize: Reauthorize;
  /** Called when a connection has entered its home, before any hook. */
  readonly onEntered: (member: Member) => void;
  /** Called when a connection has ended and its last hook has finished. */
  readonly onLeft: (member: Member, info: CloseInfo) => void;
  /** Receives errors of hooks. `thrower` names the method, its class and route, for the log. */
  readonly report: (error: Error, member: Member, thrower: string | undefined) => void;
  /** The class and its route, as shown in errors and warnings. */
  readonly owner: string;
  /** Logs a warning, once for each kind. */
  readonly warn: (kind: WarningKind, message: () => string) => void;
}

/** The warning about a thrown value that is not an `Error`. */
export function noErrorWarning({ message }: Error): string {
  return `${message}, which is not an Error; throw an Error to get a stack trace`;
}
