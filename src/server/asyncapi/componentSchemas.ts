import { asError } from "../../errors.js";
import type { Contract } from "../../wire/contract/contract.js";
import type { Schema } from "../../wire/schema.js";
import { UniqueNames } from "./uniqueNames.js";

/** A JSON Schema, draft 7. */
export type JSONSchema = Readonly<Record<string, unknown>>;

/** A reference to another part of the document. */
export interface Reference {
  readonly $ref: string;
}

/** The part of a schema library that writes JSON Schema (Standard JSON Schema). Not every library has it. */
interface Converter {
  readonly input?: unknown;
  readonly output?: unknown;
}

/** Options of libraries that would refuse a whole schema for one value that JSON has no type for, such as a `Date`. */
const libraryOptions = new Map<string, Readonly<Record<string, unknown>>>([["zod", { unrepresentable: "any" }]]);

/** Keywords whose value is data, and not a schema. */
const dataKeywords: readonly string[] = ["const", "enum", "default", "examples"];

/** The schemas of all contracts of a document. A contract of several routes is written once. */
export class ComponentSchemas {
  readonly #schemas = new Map<string, JSONSchema>();
  readonly #names = new UniqueNames();
  readonly #contractNames = new Map<Contract, string>();
  readonly #references = new Map<string, Reference>();

  /** The schemas by name, as `components.schemas` has them. */
  get all(): Readonly<Record<string, JSONSchema>> {
    return Object.fromEntries(this.#schemas);
  }

  /**
   * A reference to the schema of a part of a contract.
   *
   * @param owner Names the contract, unless it has a name already.
   * @param part Such as `receives.join.data`.
   * @param end Whether clients or methods write the value (`"input"`), or get it after the schema (`"output"`).
   */
  reference(contract: Contract, owner: string, part: string, schema: Schema, end: "input" | "output"): Reference {
    const named = this.#contractNames.get(contract) ?? this.#names.unique(owner);
    this.#contractNames.set(contract, named);
    const key = JSON.stringify([named, part]);
    const known = this.#references.get(key);
    if (known !== undefined) return known;
    const name = this.#names.unique(`${named}.${part}`);
    const reference = { $ref: `#/components/schemas/${name}` };
    this.#references.set(key, reference);
    this.#schemas.set(name, embedded(describeSchema(schema, end), reference.$ref));
    return reference;
  }
}

/** A schema as JSON Schema; any value, with a note, if its library cannot describe it. */
export function describeSchema(schema: Schema, end: "input" | "output"): JSONSchema {
  const props: Schema["~standard"] & { readonly jsonSchema?: Converter } = schema["~standard"];
  const { vendor, jsonSchema } = props;
  const convert = jsonSchema?.[end];
  if (typeof convert !== "function") return anyValue(`${vendor} writes no JSON Schema of it`);
  try {
    const made: unknown = convert({ target: "draft-07", libraryOptions: libraryOptions.get(vendor) });
    return isObject(made) ? made : anyValue(`${vendor} writes no JSON Schema of it`);
  } catch (error) {
    return anyValue(`${vendor} writes no JSON Schema of it: ${asError(error).message}`);
  }
}

function anyValue(reason: string): JSONSchema {
  return { description: `Any value: ${reason}.` };
}

/** Moves a schema to a place in the document: its references to itself begin there. */
function embedded(schema: JSONSchema, place: string): JSONSchema {
  const { $schema: _dialect, ...rest } = schema;
  const moved = Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, movedValue(name, value, place)]));
  if (!("$ref" in moved)) return moved;
  // In draft 7, the keywords beside a $ref are ignored, also the definitions that it refers to.
  const { $ref, ...others } = moved;
  return { ...others, allOf: [{ $ref }] };
}

function movedValue(name: string, value: unknown, place: string): unknown {
  if (name === "$ref" && typeof value === "string") return value.startsWith("#") ? place + value.slice(1) : value;
  if (dataKeywords.includes(name)) return value;
  if (Array.isArray(value)) return value.map((one) => movedValue("", one, place));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, movedValue(key, inner, place)]));
}

function isObject(value: unknown): value is JSONSchema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
