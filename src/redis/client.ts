/** The methods of an ioredis client that are used here; for one server, Sentinel or a cluster. */
export interface RedisClient {
  readonly isCluster: boolean;
  readonly status: string;
  // biome-ignore lint/suspicious/noExplicitAny: ioredis calls listeners with different arguments
  on(event: string, listener: (...args: any[]) => void): unknown;
  once(event: string, listener: () => void): unknown;
  removeAllListeners(): unknown;
  disconnect(): void;
  publish(channel: string, message: Buffer): Promise<unknown>;
  spublish(channel: string, message: Buffer): Promise<unknown>;
  subscribe(...channels: string[]): Promise<unknown>;
  unsubscribe(...channels: string[]): Promise<unknown>;
  ssubscribe(...channels: string[]): Promise<unknown>;
  sunsubscribe(...channels: string[]): Promise<unknown>;
  script(command: "LOAD", script: string): Promise<unknown>;
  callBuffer(command: "EVAL" | "EVALSHA", ...args: (string | Buffer)[]): Promise<unknown>;
}

/** A client that the application passes; it may come from another copy of ioredis. */
export interface OwnClient {
  readonly isCluster: boolean;
  duplicate(...args: never[]): unknown;
  callBuffer(...args: never[]): unknown;
}

/** The same client with the types that are needed to copy it. */
export interface DuplicableClient {
  readonly isCluster: boolean;
  readonly options: ClientOptions;
  duplicate(...args: readonly object[]): RedisClient & { readonly options: ClientOptions };
}

interface ClientOptions {
  readonly keyPrefix?: string | null | undefined;
  readonly db?: number | undefined;
}

/** Checks methods, not the class: a project with two copies of ioredis has two classes. */
export function isClient(source: unknown): source is DuplicableClient {
  if (typeof source !== "object" || source === null || !("isCluster" in source)) return false;
  const methods = ["duplicate", "callBuffer", "on", "subscribe", "publish", "disconnect"];
  // Reading an unknown property of an object is safe.
  const members = source as Readonly<Record<string, unknown>>;
  return methods.every((method) => typeof members[method] === "function");
}
