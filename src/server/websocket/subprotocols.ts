/** RFC 6455 4.1: a subprotocol is a token of RFC 9110 5.6.2. */
const token = /^[!#$%&'*+\-.^_`|~\w]+$/;

/** Whether a subprotocol may have this name. */
export function isSubprotocol(name: string): boolean {
  return token.test(name);
}

/** With the space around it in a list. To trim it by another expression would take quadratic time. */
const listedToken = /^[ \t]*([!#$%&'*+\-.^_`|~\w]+)[ \t]*$/;

/** The subprotocols that a client offers; `undefined` if the header is not valid, such as for a repeated name. */
export function offeredSubprotocols(header: string | undefined): readonly string[] | undefined {
  if (header === undefined) return [];
  const names = new Set<string>();
  for (const item of header.split(",")) {
    const [, name] = listedToken.exec(item) ?? [];
    if (name === undefined || names.has(name)) return undefined;
    names.add(name);
  }
  return [...names];
}
