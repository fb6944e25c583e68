import { parse } from "node:querystring";
import { inspect } from "node:util";
import { EventError, HttpError, MessageError } from "../../src/index.js";

/** A value that code may throw. */
export interface HostileValue {
  readonly name: string;
  make(): unknown;
}

function fail(): never {
  throw new Error("this value cannot be read");
}

const traps = [
  "apply",
  "construct",
  "defineProperty",
  "deleteProperty",
  "get",
  "getOwnPropertyDescriptor",
  "getPrototypeOf",
  "has",
  "isExtensible",
  "ownKeys",
  "preventExtensions",
  "set",
  "setPrototypeOf",
];

/** A proxy that throws whatever is done with it. */
function trapped(target: object): object {
  return new Proxy(target, Object.fromEntries(traps.map((trap) => [trap, fail])));
}

function revoked(target: object): object {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

/** `target` with getters that throw. */
function unreadable<T extends object>(target: T, ...keys: readonly PropertyKey[]): T {
  // A stack that was not read is made when it is replaced, from the properties that cannot be read any more.
  if (target instanceof Error) String(target.stack);
  for (const key of keys) Object.defineProperty(target, key, { get: fail, configurable: true });
  return target;
}

class UnreadableError extends Error {
  override get message(): string {
    return fail();
  }
  override get name(): string {
    return fail();
  }
}

/** A promise whose methods throw. */
class BrokenPromise extends Promise<unknown> {
  // biome-ignore lint/suspicious/noThenProperty: the test is about such a promise
  override then(): never {
    return fail();
  }
  override catch(): never {
    return fail();
  }
}

/** Values that are hard to handle: each operation that a handler of errors may try throws for one of them. */
export const hostileValues: readonly HostileValue[] = [
  { name: "an Error", make: () => new Error("broken") },
  { name: "null", make: () => null },
  { name: "undefined", make: () => undefined },
  { name: "a string", make: () => "broken" },
  { name: "NaN", make: () => Number.NaN },
  { name: "a bigint", make: () => 10n },
  { name: "a symbol", make: () => Symbol("broken") },
  { name: "a function", make: () => fail },
  { name: "an object without a prototype", make: () => Object.create(null) },
  { name: "the result of querystring.parse()", make: () => parse("error=broken") },
  {
    name: "an object that refers to itself",
    make: () => {
      const loop: Record<string, unknown> = {};
      loop.self = loop;
      return loop;
    },
  },
  { name: "a proxy that throws", make: () => trapped({}) },
  { name: "a proxy of an Error that throws", make: () => trapped(new Error("broken")) },
  { name: "a proxy of a function that throws", make: () => trapped(() => undefined) },
  { name: "a revoked proxy", make: () => revoked({}) },
  { name: "a revoked proxy of an Error", make: () => revoked(new Error("broken")) },
  { name: "an object with getters that throw", make: () => unreadable({}, "message", "stack", "name", "code", "then") },
  {
    name: "an object that cannot be converted",
    make: () => ({ toString: fail, toJSON: fail, [Symbol.toPrimitive]: fail, [inspect.custom]: fail }),
  },
  { name: "an object with a tag that throws", make: () => unreadable({}, Symbol.toStringTag, inspect.custom) },
  { name: "an Error that cannot be inspected", make: () => Object.assign(new Error("x"), { [inspect.custom]: fail }) },
  {
    name: "an Error with getters that throw",
    make: () => unreadable(new Error("x"), "message", "stack", "name", "code", "cause", "constructor", inspect.custom),
  },
  { name: "an Error of a class with getters that throw", make: () => new UnreadableError() },
  {
    name: "an EventError that cannot be read",
    make: () => unreadable(new EventError("x", "x"), "eventCode", "message"),
  },
  { name: "an HttpError that cannot be read", make: () => unreadable(new HttpError(401), "status", "headers") },
  {
    name: "a MessageError that cannot be read",
    make: () => unreadable(new MessageError("ERR_BAD_JSON", "x"), "code", "message"),
  },
  // biome-ignore lint/suspicious/noThenProperty: the test is about such an object
  { name: "an object whose then throws", make: () => ({ then: fail }) },
  { name: "a promise of a broken class", make: () => new BrokenPromise(() => undefined) },
];

/** How a hook fails with a value. */
export type Pattern =
  | "returns the value"
  | "hangs"
  | "throws"
  | "rejects"
  | "rejects by a thenable"
  | "returns a broken thenable"
  | "is a getter";

/** A hook that fails with `value`, as a result to return. `"is a getter"` is up to the class: see `Trial.install`. */
export function failing(pattern: Pattern, value: unknown): unknown {
  const reject = () => {
    throw value;
  };
  if (pattern === "returns the value") return value;
  if (pattern === "hangs") return new Promise(() => undefined);
  // biome-ignore-start lint/suspicious/noThenProperty: the test is about such objects
  if (pattern === "rejects") return Promise.reject(value);
  if (pattern === "returns a broken thenable") return Object.assign(Object.create(null), { then: reject });
  if (pattern === "rejects by a thenable") {
    return { then: (_resolve: unknown, onFailed: (thrown: unknown) => void) => onFailed(value) };
  }
  // biome-ignore-end lint/suspicious/noThenProperty: the test is about such objects
  return reject();
}
