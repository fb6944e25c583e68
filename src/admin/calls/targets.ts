import type { Topic } from "../../backplane/topic.js";
import { HttpError } from "../../errors.js";
import type { ExtensionHost } from "../../server/extensions/extension.js";
import { checkName } from "../../wire/options.js";
import type { ConnectionName } from "../api.js";
import { badField, Fields } from "../http/fields.js";

/** A checked target: one connection, or a topic. */
export type Target =
  | { readonly connection: ConnectionName }
  | {
      readonly connection?: undefined;
      readonly topic: Topic;
      readonly name: "room" | "tree" | "user" | "channel" | "all";
    };

const names = ["connection", "room", "tree", "user", "channel"];

/** @throws HttpError 400 when the value is no target; EnfiladeError `ERR_PATH`, `ERR_ROUTE_UNKNOWN`. */
export function sendTargetOf(app: ExtensionHost, value: unknown): Target {
  if (value === "all") return { topic: "all", name: "all" };
  if (typeof value !== "object" || value === null) throw badField("to", `"all" or one of ${names.join(", ")}`, value);
  return targetOf(app, Object.entries(value), names);
}

/**
 * The target in the only field of several.
 *
 * @param allowed The names of targets.
 * @throws As {@link sendTargetOf}.
 */
export function targetOf(
  app: ExtensionHost,
  entries: readonly [string, unknown][],
  allowed: readonly string[],
): Target {
  const [name, ...others] = entries.filter(([, value]) => value !== undefined).map(([key]) => key);
  if (name === undefined || others.length > 0) throw new HttpError(400, `one of ${allowed.join(", ")} is needed`);
  checkName("there is no target", name, allowed);
  const fields = new Fields(entries, allowed);
  if (name === "connection") return { connection: connectionNameOf(fields.get(name)) };
  const text = fields.text(name);
  if (name === "room") return { topic: app.registry.pathOf(text), name };
  if (name === "tree") return { topic: `below:${app.registry.pathOf(text.replace(/(?<=.)\/\*\*$/, "") || "/")}`, name };
  if (name === "user") return { topic: `user:${text}`, name };
  // Throws for a name that no route has.
  app.channel(text);
  return { topic: `channel:${text}`, name: "channel" };
}

export function connectionNameOf(value: unknown): ConnectionName {
  if (typeof value !== "object" || value === null) throw badField("connection", "{ node, id }", value);
  const fields = new Fields(Object.entries(value), ["node", "id"]);
  return { node: fields.text("node"), id: fields.text("id") };
}
