import { type Input, UsageError } from "./command.js";
import type { Headers } from "./socket.js";

/** The bounds and the default of a number that a user may pass. */
export interface Bounds {
  readonly min: number;
  readonly max: number;
  readonly otherwise: number;
}

/** @throws UsageError when the value of the option is not a number within its bounds. */
export function numberOf(input: Input, name: string, { min, max, otherwise }: Bounds): number {
  const text = input.text(name);
  if (text === undefined) return otherwise;
  const number = Number(text);
  if (/^\d+(?:\.\d+)?$/.test(text) && number >= min && number <= max) return number;
  throw new UsageError(`--${name} takes a number from ${min} to ${max}, got "${text}"`);
}

/** @throws UsageError when the value of the option is not a whole number within its bounds. */
export function countOf(input: Input, name: string, bounds: Bounds): number {
  const number = numberOf(input, name, bounds);
  if (Number.isInteger(number)) return number;
  throw new UsageError(`--${name} takes a whole number, got "${input.text(name)}"`);
}

/** The values of `--header`. @throws UsageError when one is not of the form `Name: value`. */
export function headersOf(input: Input): Headers {
  const headers = new Map<string, string>();
  for (const text of input.list("header")) {
    const [, name, value] = /^([!#$%&'*+\-.^_`|~\w]+):[ \t]*([\t -~]*)$/.exec(text) ?? [];
    // The value may be a credential, so it is not repeated.
    if (name === undefined || value === undefined) throw new UsageError(`--header takes "Name: value"`);
    headers.set(name, value);
  }
  return Object.fromEntries(headers);
}

/** @throws UsageError when `text` is not a URL of a room. */
export function roomURL(text: string): URL {
  // A host with a port looks like a scheme: localhost:8000.
  const withScheme = /^[a-z][a-z+.-]*:\/\//i.test(text) ? text : `ws://${text}`;
  // Alone, a path would be read as a host, and a port as the address 0.0.31.64.
  const isPart = /^(?:\/|\d+(?:\/|$))/.test(text);
  const url = !isPart && URL.canParse(withScheme) ? new URL(withScheme) : undefined;
  if (url === undefined || !/^(?:ws|http)s?:$/.test(url.protocol)) {
    throw new UsageError(`a URL such as ws://localhost:8000/chat/general is expected, got "${text}"`);
  }
  url.protocol = url.protocol.replace("http", "ws");
  url.hash = "";
  return url;
}
