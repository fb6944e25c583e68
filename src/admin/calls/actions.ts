import { isRoom } from "../../backplane/topic.js";
import { HttpError } from "../../errors.js";
import type { ExtensionHost } from "../../server/extensions/extension.js";
import { CloseCode, checkedReason } from "../../wire/closeCodes.js";
import { jsonEvents } from "../../wire/events/jsonEvents.js";
import { Payload } from "../../wire/payload.js";
import type { AuditEntry } from "../access/audit.js";
import type { ActionResult, CountResult, SendResult } from "../api.js";
import { badField, Fields } from "../http/fields.js";
import type { DirectMessage } from "../nodes/methods.js";
import type { Nodes } from "../nodes/nodes.js";
import type { AdminConfig } from "../options.js";
import { connectionNameOf, sendTargetOf, type Target, targetOf } from "./targets.js";

export interface ActionsDeps {
  readonly app: ExtensionHost;
  readonly nodes: Nodes;
  readonly systemMessage: AdminConfig["systemMessage"];
}

/** The body of a call. */
export type Body = Readonly<Record<string, unknown>>;

const done: ActionResult = { done: true };
const closeTargets = ["connection", "user", "room"];

/** The calls that send, close and remove. */
export class Actions {
  readonly #deps: ActionsDeps;
  readonly #calls: Readonly<Record<AuditEntry["action"], (body: Body, operator: string) => Promise<unknown>>> = {
    send: (body, operator) => this.#send(body, operator),
    close: (body) => this.#close(body),
    evict: (body) => this.#evict(body),
    revoke: (body) => this.#revoke(body),
  };

  constructor(deps: ActionsDeps) {
    this.#deps = deps;
  }

  has(name: string): name is AuditEntry["action"] {
    return Object.hasOwn(this.#calls, name);
  }

  call(action: AuditEntry["action"], body: Body, operator: string): Promise<unknown> {
    return this.#calls[action](body, operator);
  }

  /** The number of connections that a message would reach now. */
  async count(body: Body): Promise<CountResult> {
    const target = sendTargetOf(this.#deps.app, new Fields(Object.entries(body), ["to"]).get("to"));
    if (target.connection !== undefined) {
      const { node, id } = target.connection;
      const found = await this.#deps.nodes.ask(node, "connection", { id });
      return { connections: found === null ? 0 : 1, missing: [] };
    }
    const { values, missing } = await this.#deps.nodes.askAll("count", { topic: target.topic });
    return { connections: [...values.values()].reduce((sum, count) => sum + count, 0), missing };
  }

  async #send(body: Body, operator: string): Promise<SendResult> {
    const { app, nodes } = this.#deps;
    const fields = new Fields(Object.entries(body), ["to", "kind", "event", "data"]);
    const target = sendTargetOf(app, body.to);
    const message = this.#messageOf(fields, operator);
    if (target.connection === undefined) {
      await app.registry.publish(target.topic, this.#payloadOf(message, target), undefined);
    } else {
      const { node, id } = target.connection;
      if (!(await nodes.ask(node, "send", { id, message }))) throw unknownConnection();
    }
    // The target was checked above, so it has the type of one.
    return { sent: true, to: body.to as SendResult["to"] };
  }

  #messageOf(fields: Fields, operator: string): DirectMessage {
    const kind = fields.text("kind");
    const data = fields.get("data");
    if (kind === "text") {
      if (typeof data === "string") return { kind, data };
      throw badField("data", "a text, as kind is text", data);
    }
    const marked = this.#deps.systemMessage(operator, data ?? null);
    if (kind === "json") return { kind, data: marked };
    if (kind === "event") return { kind, event: fields.text("event"), data: marked };
    throw badField("kind", "json, text or event", kind);
  }

  #payloadOf(message: DirectMessage, target: Target & { readonly connection?: undefined }): Payload {
    if (message.kind === "text") return Payload.text(message.data);
    if (message.kind === "json") return Payload.json(message.data);
    const { registry } = this.#deps.app;
    const { topic } = target;
    const { event, data } = message;
    // As the registry emits events: in the protocol of the room's route.
    if (!isRoom(topic)) return Payload.event({ kind: "event", event, data }, jsonEvents);
    return Payload.event({ kind: "event", event, data, channel: topic }, registry.configOf(topic).eventProtocol);
  }

  async #close(body: Body): Promise<ActionResult> {
    const { app, nodes } = this.#deps;
    const { code: givenCode, reason: givenReason, cooperative, ...rest } = body;
    const target = targetOf(app, Object.entries(rest), closeTargets);
    const fields = new Fields(Object.entries({ reason: givenReason, cooperative }), ["reason", "cooperative"]);
    const code = givenCode === undefined ? CloseCode.normal : givenCode;
    if (typeof code !== "number") throw badField("code", "1000, or a number from 3000 to 4999", code);
    const reason = checkedReason(code, fields.optionalText("reason") ?? "");
    if (fields.optionalBoolean("cooperative")) return this.#move(target, givenCode ?? givenReason);
    if (target.connection === undefined) {
      app.registry.closeAll(target.topic, code, reason);
    } else {
      const { node, id } = target.connection;
      if (!(await nodes.ask(node, "close", { id, code, reason }))) throw unknownConnection();
    }
    return done;
  }

  async #move({ connection }: Target, codeOrReason: unknown): Promise<ActionResult> {
    if (connection === undefined || codeOrReason !== undefined) {
      throw new HttpError(400, "cooperative takes one connection, without code and reason");
    }
    if (!(await this.#deps.nodes.ask(connection.node, "move", { id: connection.id }))) throw unknownConnection();
    return done;
  }

  async #evict(body: Body): Promise<ActionResult> {
    const fields = new Fields(Object.entries(body), ["room", "connection", "user", "reason"]);
    const room = this.#deps.app.registry.room(fields.text("room"));
    const options = { reason: fields.optionalText("reason") };
    if (fields.has("connection") === fields.has("user")) throw new HttpError(400, "one of connection, user is needed");
    if (fields.has("user")) room.evict({ user: fields.text("user") }, options);
    else room.evict(connectionNameOf(fields.get("connection")).id, options);
    return done;
  }

  async #revoke(body: Body): Promise<ActionResult> {
    const { app } = this.#deps;
    const target = targetOf(app, Object.entries(body), closeTargets);
    const fields = new Fields(Object.entries(body), closeTargets);
    if (target.connection !== undefined) await app.revoke({ connection: target.connection.id });
    else if (target.name === "user") await app.revoke({ user: fields.text("user") });
    else await app.revoke({ room: fields.text("room") });
    return done;
  }
}

function unknownConnection(): HttpError {
  return new HttpError(404, "The node has no connection with this id; it may have ended");
}
