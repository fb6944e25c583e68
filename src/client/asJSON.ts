/** Types that JSON omits from an object and cannot encode on their own. */
type Omitted = undefined | symbol | ((...args: never) => unknown);

/** Types that JSON encodes as `{}`, since their content is not in properties. */
type Opaque =
  | ReadonlyMap<unknown, unknown>
  | ReadonlySet<unknown>
  | WeakMap<object, unknown>
  | WeakSet<object>
  | RegExp;

/** The names of properties that JSON does not omit. */
type Kept<Value> = {
  [Name in keyof Value]-?: Name extends string | number ? ([Value[Name]] extends [Omitted] ? never : Name) : never;
}[keyof Value];

/** The names of those properties that JSON may omit. */
type Omissible<Value> = {
  [Name in Kept<Value>]: Extract<Value[Name], Omitted> extends never ? never : Name;
}[Kept<Value>];

/** An element of a list: JSON has `null` in place of a value that it would omit from an object. */
type InList<Value> = AsJSON<Exclude<Value, Omitted>> | (Extract<Value, Omitted> extends never ? never : null);

/** Merges an intersection into one type, for readable compiler messages. */
type Flat<Value> = { [Name in keyof Value]: Value[Name] };

type ObjectAsJSON<Value> = Flat<
  { [Name in Exclude<Kept<Value>, Omissible<Value>>]: AsJSON<Value[Name]> } & {
    [Name in Omissible<Value>]?: AsJSON<Exclude<Value[Name], Omitted>>;
  }
>;

/**
 * The type of a value after it was sent as JSON. A `Date` becomes a string, a `Map` becomes `{}`, and properties that
 * are `undefined` or functions are missing.
 *
 * A type that JSON cannot encode becomes `never`: a function, a symbol, a `bigint`.
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

/** The return type `void`. */
type NoResult = ReturnType<() => void>;

/** The type of a reply after it was sent as JSON, with `null` for `undefined`. */
export type ReplyAsJSON<Value> = unknown extends Value
  ? Value
  : NoResult extends Value
    ? AsJSON<Exclude<Value, NoResult>> | NoResult
    : InList<Value>;
