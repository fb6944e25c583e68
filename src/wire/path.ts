import { EnfiladeError } from "../errors.js";

declare const canonical: unique symbol;

/**
 * The canonical name of a room: an absolute path, decoded, in NFC, without a trailing slash.
 *
 * Only {@link pathOfTarget} and {@link roomName} make one, so whatever bears this type has been checked.
 */
export type RoomPath = string & { readonly [canonical]: true };

export interface PathLimits {
  /** UTF-8 bytes of a room path. Default: 512. */
  readonly pathBytesMax: number;
  /** Segments of a room path. Default: 16. */
  readonly pathSegmentsMax: number;
}

export const defaultPathLimits: PathLimits = { pathBytesMax: 512, pathSegmentsMax: 16 };

/** Backslash, query and fragment marks, controls, line separators, lone surrogates, bidirectional embeddings and overrides. */
const forbidden = /[\\?#\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u202a-\u202e\u2066-\u2069]/u;
const plain = /^[\w\-.~!$&'()*+,;=:@/]*$/;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * The room that a request target names: its query cut off, percent-decoded once as UTF-8, then as {@link roomName}.
 *
 * It reads the raw bytes, since a URL parser would take `//a/b` for a host and fold `..` segments (RFC 9112 3.2.1).
 *
 * @throws EnfiladeError `ERR_PATH` for whatever is no canonical path; at the door that is a 400.
 */
export function pathOfTarget(target: string, limits: PathLimits = defaultPathLimits): RoomPath {
  const end = target.indexOf("?");
  const raw = end === -1 ? target : target.slice(0, end);
  // An encoded byte takes three characters: whatever is longer than that cannot fit and is not decoded first.
  if (raw.length > 3 * limits.pathBytesMax) throw tooLong(limits);
  return roomName(plain.test(raw) ? raw : decode(raw), limits);
}

/**
 * The canonical form of a room's name as code writes it: decoded, so that `%` stands for itself.
 *
 * A name is put into NFC and loses one trailing slash; case is kept. What it returns it returns again for itself.
 *
 * @throws EnfiladeError `ERR_PATH` for a name without a leading slash, with an empty, `.` or `..` segment, with one that is
 * a wildcard (`*`, `**`: so that no client can name a room as a pattern addresses it), with a character that no room path may contain, or past a limit.
 */
export function roomName(name: string, limits: PathLimits = defaultPathLimits): RoomPath {
  if (typeof name !== "string") {
    throw new EnfiladeError("ERR_PATH", `a room path is a string such as "/chat/general", got ${typeof name}`);
  }
  if (!name.startsWith("/")) throw refused(name, 'it does not begin with "/"');
  if (name.length > limits.pathBytesMax + 1) throw tooLong(limits);
  // What is plain is in NFC, has nothing forbidden, and as many bytes as characters.
  const isPlain = plain.test(name);
  const composed = isPlain ? name : name.normalize("NFC");
  const path = /[^/]\/$/.test(composed) ? composed.slice(0, -1) : composed;
  if (!isPlain && forbidden.test(path)) throw refused(name, "it contains a character that no room path may contain");
  checkSegments(path, name, limits);
  const bytes = isPlain ? path.length : encoder.encode(path).length;
  if (bytes > limits.pathBytesMax) throw tooLong(limits);
  // The one place where the type is given: everything it promises was checked above.
  return path as RoomPath;
}

/** `path` as a request target: percent-encoded, so that {@link pathOfTarget} returns `path`. */
export function encodePath(path: RoomPath): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

function checkSegments(path: string, name: string, limits: PathLimits): void {
  if (path === "/") return;
  let segments = 0;
  for (let at = 0; at !== -1; at = path.indexOf("/", at + 1)) segments += 1;
  if (segments > limits.pathSegmentsMax) {
    throw new EnfiladeError("ERR_PATH", `a room path has at most ${limits.pathSegmentsMax} segments`);
  }
  const [, segment] = /\/(\.{0,2}|\*{1,2})(?:\/|$)/.exec(path) ?? [];
  if (segment === "") throw refused(name, "it has an empty segment");
  if (segment !== undefined) throw refused(name, `it has a "${segment}" segment`);
}

/** Decodes at the level of bytes: Node hands a target over with one character for each byte. */
function decode(raw: string): string {
  const bytes = new Uint8Array(raw.length);
  let length = 0;
  for (let index = 0; index < raw.length; index += 1) {
    let byte = raw.charCodeAt(index);
    if (byte === 0x25) {
      const digits = raw.slice(index + 1, index + 3);
      if (!/^[\da-f]{2}$/i.test(digits)) throw refused(raw, 'a "%" is not followed by two hexadecimal digits');
      byte = Number.parseInt(digits, 16);
      if (byte === 0x2f) throw refused(raw, "it has an encoded slash");
      index += 2;
    } else if (byte > 0xff) {
      throw refused(raw, "it is not made of bytes");
    }
    bytes[length] = byte;
    length += 1;
  }
  try {
    return decoder.decode(bytes.subarray(0, length));
  } catch (error) {
    throw refused(raw, "it is not UTF-8", error);
  }
}

function refused(name: string, why: string, cause?: unknown): EnfiladeError {
  // Quoted as JSON, so that no control character of a client's path reaches a log as it is.
  return new EnfiladeError("ERR_PATH", `${JSON.stringify(name)} is no room path: ${why}`, { cause });
}

function tooLong(limits: PathLimits): EnfiladeError {
  return new EnfiladeError("ERR_PATH", `a room path has at most ${limits.pathBytesMax} bytes`);
}
