import type { IncomingHttpHeaders } from "node:http";
import { BlockList, isIP } from "node:net";
import { EnfiladeError } from "../../errors.js";
import { addressOfNode, isHost } from "./network.js";

/**
 * Which proxies are trusted to say where a request came from: `false` for none, the number of proxies in front of the
 * app, or their addresses and networks, such as `["10.0.0.0/8", "::1"]`.
 */
export type TrustProxy = false | number | readonly string[];

/** Where a request came from. */
export interface RequestSource {
  /** The IP address of the client; `""` if it is unknown. */
  readonly remoteAddress: string;
  /** Whether the client uses TLS. */
  readonly secure: boolean;
  /** The host and the port that the client addressed. */
  readonly host: string | undefined;
}

/** Finds the source of a request, from its headers and from the peer that sent it. */
export type SourceFinder = (headers: IncomingHttpHeaders, peer: RequestSource) => RequestSource;

/** What one proxy said about the request that it received. */
interface Hop {
  /** `undefined` if the proxy named no valid address. */
  readonly address: string | undefined;
  readonly secure: boolean | undefined;
  readonly host: string | undefined;
}

/**
 * Makes the finder for the option `trustProxy`.
 *
 * It reads `Forwarded` (RFC 7239) and the `X-Forwarded-` fields from the right, as long as the sender is trusted. A
 * malformed value ends that at the last trusted sender. Where a request has both kinds of fields, only what both say
 * counts: a proxy that sets one kind may pass on the other one as the client sent it.
 *
 * @throws EnfiladeError `ERR_OPTION` when `trustProxy` has none of its forms.
 */
export function sourceFinder(trustProxy: TrustProxy = false): SourceFinder {
  if (trustProxy === false || trustProxy === 0) return (_headers, peer) => peer;
  const isTrusted = trustOf(trustProxy);
  return (headers, peer) => {
    if (!isTrusted(peer.remoteAddress, 0)) return peer;
    let source = peer;
    for (const [at, { address, secure = peer.secure, host = peer.host }] of hopsOf(headers).entries()) {
      if (address === undefined || !isTrusted(source.remoteAddress, at)) break;
      source = { remoteAddress: address, secure, host };
    }
    return source;
  };
}

function trustOf(trustProxy: number | readonly string[]): (address: string, hop: number) => boolean {
  const given: unknown = trustProxy;
  if (typeof given === "number" && Number.isSafeInteger(given) && given > 0) return (_address, hop) => hop < given;
  if (!Array.isArray(given)) throw badTrust(given);
  const list = new BlockList();
  for (const entry of given) addNetwork(list, entry);
  return (address) => {
    const family = isIP(address);
    return family !== 0 && list.check(address, family === 6 ? "ipv6" : "ipv4");
  };
}

function addNetwork(list: BlockList, entry: unknown): void {
  const [address = "", bits, ...rest] = typeof entry === "string" ? entry.split("/") : [];
  const family = isIP(address);
  const width = family === 6 ? 128 : 32;
  const isPrefix = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= width);
  if (family === 0 || !isPrefix || rest.length > 0) throw badTrust([entry]);
  list.addSubnet(address, bits === undefined ? width : Number(bits), family === 6 ? "ipv6" : "ipv4");
}

function badTrust(came: unknown): EnfiladeError {
  const expected = 'false, the number of proxies, or a list of addresses and networks such as ["10.0.0.0/8", "::1"]';
  return new EnfiladeError("ERR_OPTION", `trustProxy takes ${expected}; got ${JSON.stringify(came) ?? typeof came}`);
}

/** The hops of a request, the last proxy first. */
function hopsOf(headers: IncomingHttpHeaders): Hop[] {
  const standard = fieldOf(headers, "forwarded");
  const common = fieldOf(headers, "x-forwarded-for");
  if (standard === undefined) return common === undefined ? [] : commonHops(common, headers);
  const hops = standardHops(standard);
  if (common === undefined) return hops;
  return commonHops(common, headers).map((one, at) => agreed(one, hops[at]));
}

function agreed(one: Hop, other: Hop | undefined): Hop {
  return {
    address: one.address === other?.address ? one.address : undefined,
    secure: one.secure === other?.secure ? one.secure : undefined,
    host: one.host === other?.host ? one.host : undefined,
  };
}

/** The hops of the fields `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`. */
function commonHops(addresses: string, headers: IncomingHttpHeaders): Hop[] {
  const protocols = fromRight(fieldOf(headers, "x-forwarded-proto"));
  const hosts = fromRight(fieldOf(headers, "x-forwarded-host"));
  return fromRight(addresses).map((node, at) => ({
    address: addressOfNode(node),
    secure: isSecure(valueAt(protocols, at)),
    host: hostOf(valueAt(hosts, at)),
  }));
}

/** A list has one value for each hop, or a single value that the last proxy set. */
function valueAt(values: readonly string[], at: number): string | undefined {
  return values.length === 1 ? values[0] : values[at];
}

const token = "[!#$%&'*+\\-.^_`|~\\w]+";
/** A pair of RFC 7239 4, with the separator after it. */
const pairs = new RegExp(`[ \\t]*(${token})=(${token}|"(?:[^"\\\\]|\\\\.)*")[ \\t]*([;,]|$)`, "gy");

/** The hops of the field `Forwarded`; none if it is malformed. */
function standardHops(field: string): Hop[] {
  const elements: Map<string, string>[] = [new Map()];
  let read = 0;
  for (const [text, name = "", value = "", separator] of field.matchAll(pairs)) {
    read += text.length;
    const element = elements.at(-1);
    if (element === undefined || element.has(name.toLowerCase())) return [];
    element.set(name.toLowerCase(), value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, "$1") : value);
    if (separator === ",") elements.push(new Map());
  }
  return read === field.length ? elements.reverse().map(hopOfElement) : [];
}

function hopOfElement(element: ReadonlyMap<string, string>): Hop {
  return {
    address: addressOfNode(element.get("for") ?? ""),
    secure: isSecure(element.get("proto")),
    host: hostOf(element.get("host")),
  };
}

function isSecure(protocol: string | undefined): boolean | undefined {
  const [, name, secure] = /^(http|ws)(s?)$/i.exec(protocol ?? "") ?? [];
  return name === undefined ? undefined : secure !== "";
}

function hostOf(host: string | undefined): string | undefined {
  return host !== undefined && isHost(host) ? host : undefined;
}

/** A field that was sent several times is one list (RFC 9110 5.3). */
function fieldOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(",") : value;
}

function fromRight(list: string | undefined): string[] {
  return list === undefined
    ? []
    : list
        .split(",")
        .map((value) => value.trim())
        .reverse();
}
