import { EnfiladeError } from "../errors.js";
import { escaped } from "./line.js";

declare const canonical: unique symbol;

/**
 * The canonical name of a room, such as `/chat/general`: an absolute path, decoded, in NFC, without a trailing slash.
 *
 * A string with this type has been checked. `roomPath()` and `room.path` return one.
 */
export type RoomPath = string & { readonly [canonical]: true };

/** The limits of room paths. */
export interface PathLimits {
  /** UTF-8 bytes of a room path. Longer ones are refused: 400 for a client, `ERR_PATH` in code. Default: 512. */
  readonly pathBytesMax: number;
  /** Segments of a room path. Paths with more are refused: 400 for a client, `ERR_PATH` in code. Default: 16. */
  readonly pathSegmentsMax: number;
}

export const defaultPathLimits: PathLimits = { pathBytesMax: 512, pathSegmentsMax: 16 };

/** `\`, `?`, `#`, controls, line separators, lone surrogates; bidirectional embeddings, overrides and isolates. */
const forbidden = /[\\?#\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u202a-\u202e\u2066-\u2069]/u;
/** Characters that need no decoding and no normalization. */
const plain = /^[\w\-.~!$&'()*+,;=:@/]*$/;

/**
 * The room path of a request target: without the query, percent-decoded once as UTF-8, then as {@link roomName}.
 *
 * No URL parser is used: it would read `//a/b` as a host and resolve `..` segments (RFC 9112 3.2.1).
 *
 * @throws EnfiladeError `ERR_PATH` when the target has no canonical path; the client gets a 400.
 */
export function pathOfTarget(target: string, limits: PathLimits = defaultPathLimits): RoomPath {
  const end = target.indexOf("?");
  const raw = end === -1 ? target : target.slice(0, end);
  // An encoded byte takes three characters: a longer target cannot fit, so it need not be decoded.
  if (raw.length > 3 * limits.pathBytesMax) throw tooLong(limits);
  return roomName(plain.test(raw) ? raw : decode(raw), limits);
}

/**
 * The canonical form of a room name in code. The name is decoded already, so `%` stands for itself.
 *
 * It is normalized to NFC and loses one trailing slash; case is kept. The function is idempotent.
 *
 * @throws EnfiladeError `ERR_PATH` when the name has no leading slash, has an empty, `.`, `..`, `*` or `**` segment,
 *   has a forbidden character, or exceeds a limit. (`*` and `**` are patterns: a client must not name a room like one.)
 */
export function roomName(name: string, limits: PathLimits = defaultPathLimits): RoomPath {
  if (typeof name !== "string") {
    throw new EnfiladeError("ERR_PATH", `a room path is a string such as "/chat/general", got ${typeof name}`);
  }
  if (!name.startsWith("/")) throw badPath(name, 'it does not begin with "/"');
  if (name.length > limits.pathBytesMax + 1) throw tooLong(limits);
  // A plain name is in NFC, has no forbidden character, and has as many bytes as characters.
  const isPlain = plain.test(name);
  const composed = isPlain ? name : name.normalize("NFC");
  const path = /[^/]\/$/.test(composed) ? composed.slice(0, -1) : composed;
  if (!isPlain && forbidden.test(path))
    throw badPath(name, "it has a control character or another forbidden character");
  checkSegments(path, name, limits);
  const bytes = isPlain ? path.length : new TextEncoder().encode(path).length;
  if (bytes > limits.pathBytesMax) throw tooLong(limits);
  // The only cast to this type: all that it promises was checked above.
  return path as RoomPath;
}

/** The request target of `path`: percent-encoded, so that {@link pathOfTarget} returns `path`. */
export function encodePath(path: RoomPath): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

function checkSegments(path: string, name: string, limits: PathLimits): void {
  if (path === "/") return;
  let segments = 0;
  for (let at = 0; at !== -1; at = path.indexOf("/", at + 1)) segments += 1;
  if (segments > limits.pathSegmentsMax) {
    throw new EnfiladeError(
      "ERR_PATH",
      `a room path has at most ${limits.pathSegmentsMax} segments (pathSegmentsMax), got ${segments}`,
    );
  }
  const [, segment] = /\/(\.{0,2}|\*{1,2})(?:\/|$)/.exec(path) ?? [];
  if (segment === "") throw badPath(name, "it has an empty segment");
  if (segment !== undefined) throw badPath(name, `it has a "${segment}" segment`);
}

/** Percent-decodes bytes: in a target from Node, each character is one byte. */
function decode(raw: string): string {
  const bytes = new Uint8Array(raw.length);
  let length = 0;
  for (let index = 0; index < raw.length; index += 1) {
    let byte = raw.charCodeAt(index);
    if (byte === 0x25) {
      const digits = raw.slice(index + 1, index + 3);
      if (!/^[\da-f]{2}$/i.test(digits)) throw badPath(raw, 'a "%" is not followed by two hexadecimal digits');
      byte = Number.parseInt(digits, 16);
      if (byte === 0x2f) throw badPath(raw, "it has an encoded slash");
      index += 2;
    } else if (byte > 0xff) {
      throw badPath(raw, "it has a character above U+00FF that is not percent-encoded");
    }
    bytes[length] = byte;
    length += 1;
  }
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes.subarray(0, length));
  } catch (error) {
    throw badPath(raw, "it is not UTF-8", error);
  }
}

function badPath(name: string, why: string, cause?: unknown): EnfiladeError {
  // Control characters in the path of a client must not reach a log unescaped.
  return new EnfiladeError("ERR_PATH", `${escaped(name)} is not a room path: ${why}`, { cause });
}

function tooLong(limits: PathLimits): EnfiladeError {
  return new EnfiladeError("ERR_PATH", `a room path has at most ${limits.pathBytesMax} bytes (pathBytesMax)`);
}
