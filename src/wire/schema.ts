import type { StandardSchemaV1 } from "@standard-schema/spec";
import { EnfiladeError, MessageError, type MessageIssue } from "../errors.js";

/** A schema of any library that follows Standard Schema (https://standardschema.dev): zod, valibot, arktype and more. */
export type Schema<Output = unknown> = StandardSchemaV1<unknown, Output>;

/**
 * What `schema` makes of `value`; a promise if the schema is asynchronous.
 *
 * @throws MessageError `ERR_SCHEMA` with its `issues` when `value` does not fit.
 */
export function validate<Output>(schema: Schema<Output>, value: unknown): Output | Promise<Output> {
  const result = schema["~standard"].validate(value);
  return result instanceof Promise ? result.then(outputOf) : outputOf(result);
}

/** @throws EnfiladeError `ERR_OPTION` when `schema` is none, so that it does not show only when the first message comes. */
export function checkSchema(schema: unknown, whose: string): void {
  const given = typeof schema === "function" || typeof schema === "object" ? schema : undefined;
  if (given && "~standard" in given) return;
  throw new EnfiladeError(
    "ERR_OPTION",
    `${whose} takes a schema of a library that follows Standard Schema, such as zod`,
  );
}

function outputOf<Output>(result: StandardSchemaV1.Result<Output>): Output {
  if (result.issues === undefined) return result.value;
  const issues = result.issues.map(readIssue);
  const told = issues.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`));
  throw new MessageError("ERR_SCHEMA", `the value does not fit its schema: ${told.join("; ")}`, issues);
}

function readIssue({ path = [], message }: StandardSchemaV1.Issue): MessageIssue {
  const keys = path.map((part) => String(typeof part === "object" ? part.key : part));
  return { path: keys.join("."), message };
}
