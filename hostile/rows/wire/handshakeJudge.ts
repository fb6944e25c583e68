/** What a strict server must do with the bytes of a request. `"either"` is left to the server. */
export type Verdict = "valid" | "invalid" | "unfinished" | "either";

const token = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+$/;
/** Visible characters, spaces, tabs, and bytes above ASCII (RFC 9110 5.5). */
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/;
/** Paths that the route `/echo/:room` matches, also with the visible characters that RFC 3986 2 leaves out of paths. */
const routePath = /^\/echo\/[\w\-.~!$&'()*+,;=:@"<>[\]^`{|}]+\/?$/;
const anyPath = /^\/[\x21-\x7e]*$/;

interface Field {
  readonly name: string;
  readonly value: string;
}

/**
 * A second opinion: what RFC 6455 4.2.1, RFC 9112 and the routes of the server say about a request. It shares no code
 * with the library.
 */
export function judge(request: string): Verdict {
  const end = request.indexOf("\r\n\r\n");
  // A parser may also take single line feeds for ends of lines (RFC 9112 2.2), or refuse them.
  if (end === -1) return "unfinished";
  const lines = request.slice(0, end).split("\r\n");
  // A server should ignore an empty line before the request (RFC 9112 2.2).
  const isOdd = lines.some((line) => /[\r\n]/.test(line)) || lines[0] === "";
  const [first = "", ...rest] = lines;
  const fields = rest.map(fieldOf);
  if (fields.some((field) => field === undefined)) return isOdd ? "either" : "invalid";
  const known = fields.filter((field) => field !== undefined);
  const isRight = isRequestLine(first) && areFields(known);
  // A client of `enfilade.v1` gets 101 and a close code for a path without a route.
  const isRefusedLater = offersV1(known) && isRequestLine(first, anyPath);
  if (!isRight && areFields(known) && isRefusedLater) return "either";
  if (isOdd) return isRight ? "either" : "invalid";
  // Bytes after the head are frames for a server that upgrades. A server may refuse an expectation, and an upgrade
  // that also offers another protocol. It has no extensions here, so it may ignore or refuse malformed offers of them.
  const isOpen =
    request.length > end + 4 ||
    isHigherVersion(first) ||
    known.some(({ name }) => isOpenField(name)) ||
    hasOffers(known);
  if (isRight && isOpen) return "either";
  return isRight ? "valid" : "invalid";
}

function fieldOf(line: string): Field | undefined {
  const colon = line.indexOf(":");
  const [name, value] = [line.slice(0, colon), line.slice(colon + 1).replace(/^[\t ]+|[\t ]+$/g, "")];
  return colon > 0 && token.test(name) && fieldValue.test(value) ? { name: name.toLowerCase(), value } : undefined;
}

function offersV1(fields: readonly Field[]): boolean {
  return fields.some(({ name, value }) => name === "sec-websocket-protocol" && value.includes("enfilade.v1"));
}

function isRequestLine(line: string, wanted = routePath): boolean {
  const [method, target = "", version, ...more] = line.split(" ");
  const [path = "", ...query] = target.split("?");
  const isQuery = query.every((part) => /^[\x21-\x7e]*$/.test(part));
  const segment = path.split("/")[2];
  const isPath = wanted.test(path) && path.length <= 512 && ![".", "..", "*", "**"].includes(segment ?? "");
  return (
    method === "GET" && /^HTTP\/(1\.[1-9]|[2-9]\.\d)$/.test(version ?? "") && more.length === 0 && isPath && isQuery
  );
}

function areFields(fields: readonly Field[]): boolean {
  const valuesOf = (name: string) => fields.filter((field) => field.name === name).map(({ value }) => value);
  const tokensOf = (name: string) => valuesOf(name).flatMap((value) => value.split(",").map((one) => one.trim()));
  const hasToken = (name: string, wanted: string) => tokensOf(name).some((one) => one.toLowerCase() === wanted);
  const [host, ...hosts] = valuesOf("host");
  const [key = "", ...keys] = valuesOf("sec-websocket-key");
  const [version, ...versions] = valuesOf("sec-websocket-version");
  return (
    host !== undefined &&
    // A comma may come from repeated fields that a proxy has joined.
    /^(\[[\da-f:.]+\]|[\w.\-~!$&'()*+;=%]+)(:\d*)?$/i.test(host) &&
    hosts.length === 0 &&
    hasToken("upgrade", "websocket") &&
    hasToken("connection", "upgrade") &&
    /^[+/\dA-Za-z]{22}==$/.test(key) &&
    keys.length === 0 &&
    version === "13" &&
    versions.length === 0 &&
    !hasBody(valuesOf("content-length"), valuesOf("transfer-encoding")) &&
    areOrigins(valuesOf("origin"), host) &&
    areProtocols(valuesOf("sec-websocket-protocol"))
  );
}

const isOpenField = (name: string) => name === "expect" || name === "sec-websocket-extensions";
/** RFC 6455 4.1: version 1.1 or higher. */
const isHigherVersion = (line: string) => /HTTP\/(1\.[2-9]|[2-9]\.\d)$/.test(line);

function hasOffers(fields: readonly Field[]): boolean {
  const upgrades = fields.filter(({ name }) => name === "upgrade");
  return upgrades.length > 1 || upgrades.some(({ value }) => value.includes(","));
}

function hasBody(lengths: readonly string[], encodings: readonly string[]): boolean {
  return encodings.length > 0 || lengths.some((length) => length !== "0") || lengths.length > 1;
}

function areOrigins(origins: readonly string[], host: string): boolean {
  return origins.length === 0 || (origins.length === 1 && origins[0] === `http://${host}`);
}

function areProtocols(values: readonly string[]): boolean {
  const offered = values.flatMap((value) => value.split(",").map((one) => one.trim()));
  return offered.every((one) => token.test(one)) && new Set(offered).size === offered.length;
}
