import { isDeepStrictEqual } from "node:util";
import { asError, EnfiladeError, isInstance, MessageError } from "../../errors.js";
import type { EventSchemas } from "../../wire/contract/contract.js";
import { nearest } from "../../wire/options.js";
import { type Schema, validate } from "../../wire/schema.js";

/**
 * Checks events and requests that the server sends, in development only.
 *
 * The data itself is sent, not the output of the schema, since production does not call the schema. So a schema that
 * changes the data is an error: clients would get something else than their types say.
 */
export class OutgoingChecks {
  readonly #sends: ReadonlyMap<string, EventSchemas>;

  constructor(sends: ReadonlyMap<string, EventSchemas>) {
    this.#sends = sends;
  }

  /**
   * Checks an event before it is emitted.
   *
   * @param sender The name of the class, for the error.
   * @throws EnfiladeError `ERR_CONTRACT` when the contract does not send the event, or the data does not fit.
   */
  checkEvent(sender: string, event: string, data: unknown): void {
    const { data: schema, reply } = this.#schemasOf(sender, event);
    const owner = `the event "${event}" that ${sender} sends`;
    if (reply !== undefined) throw errorOf(`${owner} has a reply: it is a request; call sendRequest()`);
    const checking = checkSent(owner, schema, data);
    if (!(checking instanceof Promise)) return;
    // The promise is not awaited, so its rejection must not end the process.
    checking.catch(() => undefined);
    throw errorOf(`${owner} has an asynchronous schema, but an event is checked at once; use a synchronous one`);
  }

  /**
   * Checks a request before it is sent.
   *
   * @throws EnfiladeError `ERR_CONTRACT` as {@link checkEvent}; a rejection if the schema is asynchronous.
   */
  checkRequest(sender: string, event: string, data: unknown): void | Promise<void> {
    const { data: schema, reply } = this.#schemasOf(sender, event);
    const owner = `the request "${event}" that ${sender} sends`;
    if (reply === undefined) throw errorOf(`${owner} has no reply in its contract; add reply, or call emit()`);
    return checkSent(owner, schema, data);
  }

  #schemasOf(sender: string, event: string): EventSchemas {
    const schemas = this.#sends.get(event);
    if (schemas !== undefined) return schemas;
    const names = [...this.#sends.keys()];
    const near = typeof event === "string" ? nearest(event, names) : undefined;
    const known = names.length === 0 ? "it sends none" : `it sends: ${names.join(", ")}`;
    const hint = near === undefined ? known : `did you mean "${near}"?`;
    throw errorOf(`the contract of ${sender} sends no event "${String(event)}"; ${hint}`);
  }
}

/**
 * Checks data that the server sends. Returns a promise only if the schema is asynchronous.
 *
 * @param schema `undefined` for no data.
 * @throws EnfiladeError `ERR_CONTRACT` when the data does not fit, or the schema changes it; a rejection if the schema
 *   is asynchronous.
 */
export function checkSent(owner: string, schema: Schema | undefined, data: unknown): void | Promise<void> {
  if (schema === undefined) {
    if (data !== undefined) throw errorOf(`${owner} has no data in its contract, got ${typeof data}`);
    return undefined;
  }
  const compare = (output: unknown): void => checkUnchanged(owner, data, output);
  try {
    const output = validate(schema, data);
    return output instanceof Promise ? output.then(compare, (error) => refuse(owner, error)) : compare(output);
  } catch (error) {
    return refuse(owner, error);
  }
}

/** The same values and end, each checked before it is sent. */
export async function* checkedStream(
  values: AsyncIterable<unknown>,
  checkItem: (item: unknown) => unknown,
  checkEnd: (reply: unknown) => unknown,
): AsyncGenerator<unknown, unknown, undefined> {
  const iterator = values[Symbol.asyncIterator]();
  let isOver = false;
  try {
    for (;;) {
      const { done, value } = await iterator.next();
      isOver = done === true;
      await (isOver ? checkEnd(value) : checkItem(value));
      if (isOver) return value;
      yield value;
    }
  } finally {
    // The reader has left the stream, or a value does not fit.
    if (!isOver) await iterator.return?.();
  }
}

function refuse(owner: string, error: unknown): never {
  if (isInstance(error, EnfiladeError) && error.code === "ERR_CONTRACT") throw error;
  // A MessageError would be answered with bad_data, and blame the client.
  const problem = isInstance(error, MessageError) ? error.message : `its schema threw: ${asError(error).message}`;
  throw errorOf(`${owner}: ${problem}`, error);
}

function checkUnchanged(owner: string, data: unknown, output: unknown): void {
  if (isDeepStrictEqual(data, output) || isSameAsJSON(data, output)) return;
  const advice = "send the output of the schema, or remove defaults, transformations and unknown keys";
  throw errorOf(`${owner}: its schema changes the data, but the data is sent as it is; ${advice}`);
}

function isSameAsJSON(data: unknown, output: unknown): boolean {
  try {
    return isDeepStrictEqual(throughJSON(data), throughJSON(output));
  } catch {
    // A binary event protocol may encode a value that JSON cannot.
    return false;
  }
}

function throughJSON(value: unknown): unknown {
  const text = JSON.stringify(value);
  return text === undefined ? undefined : JSON.parse(text);
}

function errorOf(message: string, cause?: unknown): EnfiladeError {
  return new EnfiladeError("ERR_CONTRACT", message, { cause });
}
