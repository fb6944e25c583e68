import type { Schema } from "../wire/schema.js";

/** Options of one event of an `EventHandler`. */
export interface EventOptions<Data = unknown> {
  /** Checks the data of the event; the method gets the output of the schema. Any Standard Schema, such as zod. */
  readonly schema?: Schema<Data> | undefined;
  /** Whether the method gets the data as JSON text, not parsed. Not together with `schema`. Default: `false`. */
  readonly raw?: boolean | undefined;
}

export const eventOptionNames: readonly string[] = ["schema", "raw"];

/** An entry of `static events`: the name of the method that answers the event, or the name with options. */
export type EventDeclaration = string | (EventOptions & { readonly method: string });

/** An event, the method that answers it, and its options. */
export interface EventMethod extends EventOptions {
  readonly event: string;
  readonly method: string;
}
