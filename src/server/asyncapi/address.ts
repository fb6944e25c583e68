import { patternPieces } from "../../wire/pattern.js";
import type { Schema } from "../../wire/schema.js";
import { describeSchema, type JSONSchema } from "./componentSchemas.js";
import { UniqueNames } from "./uniqueNames.js";

/** A parameter of the address of a channel. */
export interface AsyncAPIParameter {
  /** What it is, and which values it takes. */
  readonly description?: string;
  /** All values, if there are only some. */
  readonly enum?: readonly string[];
}

/** The address of a channel: the path of its room. */
export interface Address {
  /** With its parameters in braces, such as `/chat/{channel}`. */
  readonly address: string;
  readonly parameters: Readonly<Record<string, AsyncAPIParameter>>;
}

/** The address of the rooms of a route pattern. Syntax without a name, such as `**`, becomes a parameter, too. */
export function addressOf(pattern: string, params: Schema | undefined): Address {
  const names = new UniqueNames();
  const properties = propertiesOf(params);
  const parameters = new Map<string, AsyncAPIParameter>();
  let address = "";
  for (const { text, name, source, isOptional = false, isMultiSegment = false } of patternPieces(pattern)) {
    if (text !== undefined) {
      address += text;
    } else if (name !== undefined) {
      const [, constraint] = /\((.*)\)[?+*]?$/s.exec(source) ?? [];
      const facts = [
        ...(isMultiSegment ? ["several segments of the path"] : []),
        ...(constraint === undefined || isMultiSegment ? [] : [`matches ${constraint}`]),
        ...(isOptional ? ["may be missing"] : []),
      ];
      parameters.set(names.unique(name), parameterOf(properties.get(name), facts));
      address += `{${name}}`;
    } else if (!/^[{}]/.test(source)) {
      const made = names.unique("rest");
      parameters.set(made, { description: `Any text that matches ${source}.` });
      address += `{${made}}`;
    }
  }
  return { address, parameters: Object.fromEntries(parameters) };
}

function parameterOf(schema: JSONSchema | undefined, facts: readonly string[]): AsyncAPIParameter {
  const described = typeof schema?.description === "string" ? schema.description : undefined;
  const fact = facts.length === 0 ? undefined : `It ${facts.map(asClause).join(", and ")}.`;
  const description = [described, fact].filter((one) => one !== undefined).join(" ");
  const values = enumOf(schema);
  return { ...(description !== "" && { description }), ...(values !== undefined && { enum: values }) };
}

function asClause(fact: string): string {
  return fact.startsWith("several") ? `has ${fact}` : fact;
}

/** The values of a parameter, if they are all texts. */
function enumOf(schema: JSONSchema | undefined): readonly string[] | undefined {
  const values: unknown = schema?.enum;
  if (!Array.isArray(values)) return undefined;
  const texts = values.filter((value) => typeof value === "string");
  return texts.length === values.length && texts.length > 0 ? texts : undefined;
}

/** The JSON Schema of each parameter, as far as the schema of the route describes it. */
function propertiesOf(params: Schema | undefined): ReadonlyMap<string, JSONSchema> {
  const { properties } = params === undefined ? {} : describeSchema(params, "input");
  if (typeof properties !== "object" || properties === null) return new Map();
  return new Map(Object.entries(properties));
}
