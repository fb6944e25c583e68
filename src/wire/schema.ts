import type { StandardSchemaV1 } from "@standard-schema/spec";
import { EnfiladeError, MessageError, type MessageIssue } from "../errors.js";

/** A schema of any library that implements Standard Schema (https://standardschema.dev): zod, valibot, arktype, … */
export type Schema<Output = unknown> = StandardSchemaV1<unknown, Output>;

/**
 * The output of `schema` for `value`; a promise if the schema is asynchronous.
 *
 * @throws MessageError `ERR_SCHEMA` with `issues` when `value` does not fit; a rejection if the schema is asynchronous.
 */
export function validate<Output>(schema: Schema<Output>, value: unknown): Output | Promise<Output> {
  const result = schema["~standard"].validate(value);
  // Any thenable: to read it as a result would accept every value.
  const isAsync = result instanceof Promise || "then" in result;
  return isAsync ? Promise.resolve(result).then(outputOf) : outputOf(result);
}

/**
 * Checks a schema at registration, before the first message needs it.
 *
 * @param owner The option, as the error names it.
 * @throws EnfiladeError `ERR_OPTION` when `schema` is not a Standard Schema.
 */
export function checkSchema(schema: unknown, owner: string): void {
  const given = typeof schema === "function" || typeof schema === "object" ? schema : undefined;
  if (given && "~standard" in given) return;
  const came = schema === null ? "null" : typeof schema;
  throw new EnfiladeError(
    "ERR_OPTION",
    `${owner} takes a schema of a library that implements Standard Schema, such as zod; got ${came}`,
  );
}

function outputOf<Output>(result: StandardSchemaV1.Result<Output>): Output {
  if (result.issues === undefined) return result.value;
  const issues = result.issues.map(readIssue);
  const lines = issues.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`));
  throw new MessageError("ERR_SCHEMA", `the value does not fit its schema: ${lines.join("; ")}`, issues);
}

function readIssue({ path = [], message }: StandardSchemaV1.Issue): MessageIssue {
  const keys = path.map((part) => String(typeof part === "object" ? part.key : part));
  return { path: keys.join("."), message };
}
