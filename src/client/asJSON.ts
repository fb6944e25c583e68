/** What JSON leaves out of an object, and has no form for by itself. */
type Omitted = undefined | symbol | ((...args: never) => unknown);

/** What JSON makes an empty object: its content is in no property. */
type Opaque =
  | ReadonlyMap<unknown, unknown>
  | ReadonlySet<unknown>
  | WeakMap<object, unknown>
  | WeakSet<object>
  | RegExp;

/** The names of properties that JSON keeps. */
type Kept<Value> = {
  [Name in keyof Value]-?: Name extends string | number ? ([Value[Name]] extends [Omitted] ? never : Name) : never;
}[keyof Value];

/** Of these, the ones that may be left out. */
type MayMiss<Value> = {
  [Name in Kept<Value>]: Extract<Value[Name], Omitted> extends never ? never : Name;
}[Kept<Value>];

/** In a list JSON has `null` for what it would leave out of an object. */
type InList<Value> = AsJSON<Exclude<Value, Omitted>> | (Extract<Value, Omitted> extends never ? never : null);

/** One type for an intersection, which reads better in messages of the compiler. */
type Flat<Value> = { [Name in keyof Value]: Value[Name] };

type ObjectAsJSON<Value> = Flat<
  { [Name in Exclude<Kept<Value>, MayMiss<Value>>]: AsJSON<Value[Name]> } & {
    [Name in MayMiss<Value>]?: AsJSON<Exclude<Value[Name], Omitted>>;
  }
>;

/**
 * A value as it arrives when it was sent as JSON: a `Date` is a string, members that are `undefined` or functions are missing, a `Map` is `{}`.
 *
 * `never` is what JSON has no form for: a function, a symbol, a `bigint`.
 */
export type AsJSON<Value> = unknown extends Value
  ? Value
  : Value extends string | number | boolean | null
    ? Value
    : Value extends Omitted | bigint
      ? never
      : Value extends { toJSON(...args: never): infer Made }
        ? AsJSON<Made>
        : Value extends Opaque
          ? Record<never, never>
          : Value extends readonly unknown[]
            ? { [Index in keyof Value]: InList<Value[Index]> }
            : ObjectAsJSON<Value>;

/** What a method without a result returns: nothing to rely on. */
type NoResult = ReturnType<() => void>;

/** A reply as it arrives: as JSON, with `null` for `undefined`. */
export type ReplyAsJSON<Value> = unknown extends Value
  ? Value
  : NoResult extends Value
    ? AsJSON<Exclude<Value, NoResult>> | NoResult
    : InList<Value>;
