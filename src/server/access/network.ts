import { isIP, isIPv4, isIPv6, SocketAddress } from "node:net";

const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** An IP address in its canonical form, an IPv4-mapped one as IPv4; any other text as it is. */
function canonical(address: string): string {
  const [, ipv4] = mapped.exec(address) ?? [];
  if (ipv4 !== undefined || !isIPv6(address)) return ipv4 ?? address;
  const text = new SocketAddress({ address, family: "ipv6" }).address;
  return mapped.exec(text)?.[1] ?? text;
}

/**
 * The canonical address in a field of a proxy, such as `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1` or
 * `[2001:db8::1]:4711`; `undefined` if it has none, such as `unknown` or `_hidden` (RFC 7239 6).
 */
export function addressOfNode(node: string): string | undefined {
  const [, bracketed, plain = node] = /^(?:\[([^[\]]*)\]|([\d.]+))(?::\d{1,5})?$/.exec(node) ?? [];
  if (node.includes("%")) return undefined;
  if (bracketed !== undefined) return isIPv6(bracketed) ? canonical(bracketed) : undefined;
  return isIP(plain) === 0 ? undefined : canonical(plain);
}

/**
 * The key under which limits count an address: an IPv6 address counts as its /64, since a client can choose the other
 * half of its address freely. Any other text is its own key.
 */
export function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const plain = canonical(address);
  if (isIPv4(plain) || !isIPv6(plain)) return plain;
  return `${groupsOf(plain).slice(0, 4).join(":")}::/64`;
}

/** The groups of a canonical IPv6 address. The last two may be missing, where the address has them as IPv4. */
function groupsOf(address: string): string[] {
  const [left = "", right] = address.split("::");
  const [before, after] = [left, right ?? ""].map((part) => (part === "" ? [] : part.split(":")));
  const given = [...(before ?? []), ...(after ?? [])];
  const width = 8 - (address.includes(".") ? 1 : 0);
  const zeros = right === undefined ? [] : Array.from({ length: width - given.length }, () => "0");
  return [...(before ?? []), ...zeros, ...(after ?? [])];
}

/** Whether the text is a host with an optional port (RFC 3986 3.2.2), as in the header `Host`. */
export function isHost(text: string): boolean {
  return /^(?:\[[\da-f:.]+\]|[\w.~!$&'()*+;=%-]+)(?::\d{1,5})?$/i.test(text);
}
