import { describeValue, HttpError } from "../../errors.js";
import { checkName } from "../../wire/options.js";

const textLengthMax = 1_024;

/** The fields of a call, of its query or its body. Each method throws HttpError 400 for a value that does not fit. */
export class Fields {
  readonly #values: ReadonlyMap<string, unknown>;

  /** @throws EnfiladeError `ERR_OPTION` for a field that is not one of `names`. */
  constructor(values: Iterable<readonly [string, unknown]>, names: readonly string[]) {
    this.#values = new Map(values);
    for (const name of this.#values.keys()) checkName("there is no field", name, names);
  }

  get(name: string): unknown {
    return this.#values.get(name);
  }

  has(name: string): boolean {
    return this.#values.get(name) !== undefined;
  }

  /** A text that is not empty. */
  text(name: string): string {
    const text = this.optionalText(name);
    if (text !== undefined) return text;
    throw badField(name, "a text", this.#values.get(name));
  }

  /** As {@link text}; `undefined` if the field is missing or empty. */
  optionalText(name: string): string | undefined {
    const value = this.#values.get(name);
    if (value === undefined || value === "") return undefined;
    if (typeof value === "string" && value.length <= textLengthMax) return value;
    throw badField(name, `a text of at most ${textLengthMax} characters`, value);
  }

  optionalBoolean(name: string): boolean {
    const value = this.#values.get(name) ?? false;
    if (typeof value === "boolean") return value;
    throw badField(name, "true or false", value);
  }

  /** The number of entries of a page. */
  limit(normal: number, max: number): number {
    const value = this.optionalText("limit") ?? String(normal);
    const limit = Number(value);
    if (/^\d{1,9}$/.test(value) && limit > 0) return Math.min(limit, max);
    throw badField("limit", "a whole number above 0", value);
  }
}

export function badField(name: string, expected: string, came: unknown): HttpError {
  return new HttpError(400, `${name} takes ${expected}, got ${describeValue(came)}`);
}
