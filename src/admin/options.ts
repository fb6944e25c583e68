import { hostname } from "node:os";
import type { ConnectionRequest } from "../connection/request.js";
import { describeValue, EnfiladeError } from "../errors.js";
import { extensionPath } from "../server/extensions/extensionPath.js";
import { checkNames } from "../wire/options.js";
import type { RoomPath } from "../wire/path.js";
import type { AuditEntry } from "./access/audit.js";
import { type AdminLimits, adminLimitsOf } from "./limits.js";

/** An operator: a name, or an object with one. The name is shown in audit lines. */
export type Operator = string | { readonly name: string };

/** The answer of `authorize` of {@link AdminOptions}. */
export type OperatorAnswer = Operator | Response | undefined | null | false | "" | 0;

/** Options of {@link admin}. */
export interface AdminOptions {
  /**
   * Decides for each request whether it is of an operator, and of which one. A falsy result is refused with 401; a
   * `Response`, and a thrown `HttpError`, is the answer. Required: the admin shows all users and can close connections.
   */
  readonly authorize: (request: ConnectionRequest) => OperatorAnswer | Promise<OperatorAnswer>;
  /** The path of the admin. Default: `/admin`. */
  readonly path?: string | undefined;
  /**
   * A secret of at least 32 characters, the same on all nodes: it protects the messages between nodes and the tokens
   * against forged requests. Required with Redis or NATS. Default with one node: a random one.
   */
  readonly secret?: string | undefined;
  /** The name of this node, unique among the nodes. Default: the name of the machine and the id of the process. */
  readonly node?: string | undefined;
  /**
   * Receives one entry for each call that changes something. Default: one line for the option `logger` of the app, as a
   * warning.
   */
  readonly onAudit?: ((entry: AuditEntry) => unknown) | undefined;
  /**
   * The content of a message that an operator sends as JSON or as an event, so that clients can tell it from others.
   * Default: `{ type: "system", from: operator, data }`.
   */
  readonly systemMessage?: ((operator: string, data: unknown) => unknown) | undefined;
  /** Limits, such as `{ operatorsMax: 5 }`; see {@link AdminLimits}. */
  readonly limits?: Partial<AdminLimits> | undefined;
}

/** The options with all defaults, except the secret. */
export interface AdminConfig {
  readonly authorize: AdminOptions["authorize"];
  readonly path: RoomPath;
  readonly secret: string | undefined;
  readonly node: string;
  readonly onAudit: AdminOptions["onAudit"];
  readonly systemMessage: (operator: string, data: unknown) => unknown;
  readonly limits: AdminLimits;
}

const names = ["authorize", "path", "secret", "node", "onAudit", "systemMessage", "limits"];
const secretLengthMin = 32;
const nodeNameLengthMax = 100;

/** The admins of this process so far: each has a name of its own. */
let count = 0;

function nodeName(): string {
  count += 1;
  return `${hostname()}-${process.pid}${count > 1 ? `-${count}` : ""}`;
}

/** @throws EnfiladeError `ERR_OPTION` for an invalid option; `ERR_PATH` for an invalid path. */
export function adminConfigOf(options: AdminOptions): AdminConfig {
  checkNames("admin()", options, names);
  const { authorize, path = "/admin", secret, node = nodeName(), onAudit, systemMessage } = options;
  if (typeof authorize !== "function") {
    const reason = "the admin shows all users and can close connections, so it must know who asks";
    const expected = `authorize is required: ${reason}; pass authorize: (request) => operator`;
    // The error does not repeat it: it may be a secret.
    throw new EnfiladeError("ERR_OPTION", `${expected}; admin() got ${typeof authorize}`);
  }
  checkFunction("onAudit", onAudit);
  checkFunction("systemMessage", systemMessage);
  if (secret !== undefined && (typeof secret !== "string" || secret.length < secretLengthMin)) {
    throw badSecret(secret);
  }
  if (typeof node !== "string" || node === "" || node.length > nodeNameLengthMax) {
    throw bad(`node takes a string of 1 to ${nodeNameLengthMax} characters`, node);
  }
  const own = extensionPath("admin()", path);
  // The path becomes a part of the patterns of routes.
  if (/[^\p{L}\p{N}/._~-]/u.test(path)) throw bad("path takes a path of letters, digits, and / . _ ~ -", path);
  const limits = adminLimitsOf(options.limits);
  return {
    authorize,
    path: own,
    secret,
    node,
    onAudit,
    systemMessage: systemMessage ?? defaultMessage,
    limits,
  };
}

function defaultMessage(operator: string, data: unknown): unknown {
  return { type: "system", from: operator, data };
}

function checkFunction(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== "function") throw bad(`${name} takes a function`, value);
}

/** The error does not repeat the secret. */
function badSecret(secret: unknown): EnfiladeError {
  const came = typeof secret === "string" ? `one of ${secret.length}` : typeof secret;
  const hint = "create one with: openssl rand -hex 32";
  const expected = `a string of at least ${secretLengthMin} characters`;
  return new EnfiladeError("ERR_OPTION", `secret of admin() takes ${expected}, got ${came}; ${hint}`);
}

function bad(expected: string, came: unknown): EnfiladeError {
  return new EnfiladeError("ERR_OPTION", `${expected}; admin() got ${describeValue(came)}`);
}
