import type { Schema } from "../wire/schema.js";

/** What is said of an event beside its name. */
export interface EventOptions<Data = unknown> {
  /** What the data must be; the method gets what the schema returns. */
  readonly schema?: Schema<Data> | undefined;
  /** Whether the method gets the data as JSON text. Default: `false`. */
  readonly raw?: boolean | undefined;
}

export const eventOptionNames: readonly string[] = ["schema", "raw"];

/** An event without decorators: the name of its method, or that and its options. */
export type EventDeclaration = string | (EventOptions & { readonly method: string });

/** Which method answers an event, and what becomes of its data first. */
export interface EventMethod extends EventOptions {
  readonly event: string;
  readonly method: string;
}
