/** Writes a JSON Schema as a type that people read, such as `{ name: string, age?: number }`. */

const depthMax = 6;

/** The text of a schema of the document. References are followed up to a depth, since a schema may contain itself. */
export function typeText(document, schema, depth = 0) {
  if (depth > depthMax) return "…";
  const inner = (one) => typeText(document, one, depth + 1);
  if (schema === true || schema === undefined) return "any";
  if (schema.$ref !== undefined) return inner(resolve(document, schema.$ref));
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const union = schema.anyOf ?? schema.oneOf;
  if (union !== undefined) return union.map(inner).join(" | ");
  if (schema.allOf !== undefined) return schema.allOf.map(inner).join(" & ");
  if (schema.type === "array") return `list of ${inner(Array.isArray(schema.items) ? true : schema.items)}`;
  if (schema.type === "object") return objectText(schema, inner);
  return scalarText(schema);
}

function objectText({ properties = {}, required = [] }, inner) {
  const members = Object.entries(properties).map(([name, schema]) => {
    return `${name}${required.includes(name) ? "" : "?"}: ${inner(schema)}`;
  });
  return members.length === 0 ? "object" : `{ ${members.join(", ")} }`;
}

function scalarText({ type, format, minLength, maxLength }) {
  const kind = [type ?? "any"].flat().join(" | ");
  const size = [minLength, maxLength].some((length) => length !== undefined)
    ? ` of ${sizeText(minLength, maxLength)}`
    : "";
  return (format === undefined ? kind : `${kind} (${format})`) + size;
}

function sizeText(min = 0, max = undefined) {
  return max === undefined ? `at least ${min} characters` : `${min} to ${max} characters`;
}

function resolve(document, reference) {
  return reference
    .split("/")
    .slice(1)
    .reduce((part, key) => part?.[decodeURIComponent(key)], document);
}
