import type { EventSchemas } from "../../wire/contract/contract.js";
import type { Schema } from "../../wire/schema.js";
import type { JSONSchema, Reference } from "./componentSchemas.js";

/** A message of a channel. */
export interface AsyncAPIMessage {
  /** The name of the event. */
  readonly name: string;
  /** The name of the event, for people. */
  readonly title: string;
  /** One line about the event. */
  readonly summary?: string;
  /** The format of the message; missing if the event protocol has a form of its own. */
  readonly contentType?: string;
  /** The message as JSON Schema. */
  readonly payload: JSONSchema | Reference;
}

/** The place of {@link errorSchema}. */
const errorSchemaReference: Reference = { $ref: "#/components/schemas/error" };

type Data = JSONSchema | Reference | undefined;

const contentType = "application/json";
const id = { type: ["string", "number"] };

/** The messages of `jsonEvents`. */
export const jsonMessages = {
  /** An event from a client. */
  received(event: string, given: EventSchemas, data: Data): AsyncAPIMessage {
    const description = "Chosen by the client. With an id, the event gets a reply.";
    return jsonEvent(event, given, data, { id: { ...id, description } });
  },

  /** An event to clients. */
  sent(event: string, given: EventSchemas, data: Data): AsyncAPIMessage {
    return jsonEvent(event, given, data, {});
  },

  /** A request to a client: a frame of `enfilade.v1`, since plain clients cannot answer. */
  request(event: string, summary: string | undefined, data: Data): AsyncAPIMessage {
    const properties = { type: { const: "request" }, id: { type: "number" }, event: { const: event } };
    const required = ["type", "id", "event"];
    return message(event, summary, objectOf({ ...properties, ...(data && { data }) }, required));
  },

  /** The reply of a client to a request: a frame of `enfilade.v1`, with data or an error. */
  clientReply(event: string, data: Data): AsyncAPIMessage {
    const properties = {
      type: { const: "reply" },
      id: { type: "number" },
      data: data ?? {},
      error: errorSchemaReference,
    };
    return message(`reply to ${event}`, undefined, objectOf(properties, ["type", "id"]));
  },

  /** One value of a streamed answer. */
  item(event: string, data: Data): AsyncAPIMessage {
    const seq = { type: "number", description: "The number of the value, from 0." };
    return message(`value of ${event}`, undefined, objectOf({ id, seq, data: data ?? {} }, ["id", "seq", "data"]));
  },

  /** The reply to an event. */
  reply(event: string, data: Data): AsyncAPIMessage {
    return message(`reply to ${event}`, undefined, objectOf({ id, data: data ?? {} }, ["id", "data"]));
  },
};

/** A message of which only the data is known. */
export function dataMessage(event: string, summary: string | undefined, data: Data): AsyncAPIMessage {
  return { name: event, title: event, ...(summary !== undefined && { summary }), payload: data ?? {} };
}

/** The reply to an event that failed or was refused. */
export const errorMessage: AsyncAPIMessage = {
  ...message(
    "error",
    "An event that failed or was refused.",
    objectOf({ id, event: { type: "string" }, error: errorSchemaReference }, ["error"]),
  ),
};

/** The place of {@link errorMessage}. */
export const errorReference: Reference = { $ref: "#/components/messages/error" };

/** The part of an error that a client gets. */
export const errorSchema: JSONSchema = objectOf(
  {
    code: { type: "string", description: "Such as bad_data, unknown_event or internal." },
    message: { type: "string" },
    issues: {
      type: "array",
      description: "With bad_data: the parts that do not fit.",
      items: objectOf({ path: { type: "string" }, message: { type: "string" } }, ["path", "message"]),
    },
  },
  ["code", "message"],
);

function jsonEvent(event: string, given: EventSchemas, data: Data, more: JSONSchema): AsyncAPIMessage {
  const properties = { event: { const: event }, ...(data && { data }), ...more };
  const required = ["event", ...(given.data !== undefined && isRequired(given.data) ? ["data"] : [])];
  return message(event, given.summary, objectOf(properties, required));
}

function message(name: string, summary: string | undefined, payload: JSONSchema): AsyncAPIMessage {
  return { name, title: name, ...(summary !== undefined && { summary }), contentType, payload };
}

function objectOf(properties: JSONSchema, required: readonly string[]): JSONSchema {
  return { type: "object", properties, required };
}

/** Whether a schema refuses missing data: JSON Schema does not say. */
function isRequired(schema: Schema): boolean {
  try {
    const result = schema["~standard"].validate(undefined);
    if (!(result instanceof Promise)) return result.issues !== undefined;
    result.catch(() => undefined);
    return true;
  } catch {
    return true;
  }
}
