/** What is used of an ioredis client, for one server (or Sentinel) or a cluster. */
export interface RedisClient {
  readonly isCluster: boolean;
  readonly status: string;
  // biome-ignore lint/suspicious/noExplicitAny: listeners of many kinds, each as ioredis calls it
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
