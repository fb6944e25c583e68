/** RFC 6455 4.1: a subprotocol is a token of RFC 9110 5.6.2. */
const token = /^[!#$%&'*+\-.^_`|~\w]+$/;

/** Whether a subprotocol may have this name. */
export function isSubprotocol(name: string): boolean {
  return token.test(name);
}

/** The subprotocols that a client offers; `undefined` if the header is not valid, or repeats a name. */
export function offeredSubprotocols(header: string | undefined): readonly string[] | undefined {
  if (header === undefined) return [];
  const names = header.split(",").map((name) => name.replace(/^[ \t]+|[ \t]+$/g, ""));
  return names.every(isSubprotocol) && new Set(names).size === names.length ? names : undefined;
}
