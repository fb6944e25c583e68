/** The events of clients of the test's rooms, and their replies. */
export interface ClientEvents {
  say(text: string): { readonly length: number };
  slow(name: string): string;
  fail(): never;
  load(): readonly string[];
  name(name: string): void;
}

/** The events of the server. */
export interface ServerEvents {
  readonly said: string;
}
