import { onTestFinished } from "vitest";
import { App, type AppOptions, type Limits, type PresenceOptions } from "../../src/index.js";
import { type ConnectOptions, connectURL, type TestClient } from "../../src/testing/index.js";
import { type EngineOptions, type EngineServer, type EngineSetup, startEngine } from "../support/engines.js";
import { Talker } from "./talker.js";

export const historySize = 20_000;

/** One app of several on one engine. */
export interface ClusterNode {
  readonly app: App;
  readonly port: number;
  /** Errors that reached `app.on("error")`. */
  readonly errors: Error[];
  /** A client that has read its greeting; `/kept/…` has history and presence, `/plain/…` has neither. */
  open(path: string, options?: ConnectOptions): Promise<TestClient>;
  /** Closes the node before the end of the test. */
  close(): Promise<void>;
}

export interface ClusterOptions {
  readonly limits?: Partial<Limits>;
  /** The grace period of presence in `/kept/…`. */
  readonly leaveGraceMs?: number;
  readonly app?: AppOptions;
  /** The size of the history of `/kept/…`. */
  readonly historySize?: number;
  readonly engine?: EngineOptions;
  /** An engine that runs already. Default: one of its own, until the end of the test. */
  readonly on?: EngineServer;
  /** Options of each backplane. */
  readonly backplane?: object;
}

/** Apps that share one engine; with `memory` there is one app. */
export interface TestCluster {
  /** `undefined` for `memory`. */
  readonly engine: EngineServer | undefined;
  readonly nodes: readonly ClusterNode[];
  /** Adds a node; over `url` if given, such as that of a proxy. */
  add(url?: string): Promise<ClusterNode>;
}

export async function startCluster(
  name: EngineSetup | "memory",
  count: number,
  options: ClusterOptions = {},
): Promise<TestCluster> {
  const engine = options.on ?? (name === "memory" ? undefined : await startEngine(name, options.engine));
  const add = (url?: string) => startNode(options, engine, url);
  const nodes: ClusterNode[] = [];
  for (let n = 0; n < count; n += 1) nodes.push(await add());
  return { engine, nodes, add };
}

/** Resolves when `condition` holds. It is checked whenever the event loop is free. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

/** The node with this index, which the test started. */
export function nodeOf({ nodes }: TestCluster, index: number): ClusterNode {
  const node = nodes[index];
  if (node === undefined) throw new Error(`there are ${nodes.length} nodes`);
  return node;
}

async function startNode(
  { limits, app: appOptions, leaveGraceMs, historySize: size = historySize, backplane: own }: ClusterOptions,
  engine: EngineServer | undefined,
  url: string | undefined,
): Promise<ClusterNode> {
  const backplane = engine?.backplane(url, own);
  const presence: PresenceOptions = { mode: "full", leaveGraceMs };
  const app = new App({ ...appOptions, ...(limits && { limits }), ...(backplane && { backplane }) })
    .route("/kept/:name", Talker, { history: { size, bytesMax: 64 * 1024 * 1024 }, presence })
    .route("/plain/:name", Talker, { name: "plain" })
    .route("/org/:id", Talker)
    .route("/org/:id/:team", Talker);
  const errors: Error[] = [];
  app.on("error", (error) => errors.push(error));
  const { port } = await app.listen(0, "127.0.0.1");
  const close = () => app.close({ timeoutMs: 500 });
  onTestFinished(close);
  return {
    app,
    port,
    errors,
    close,
    open: async (path, connectOptions) => {
      const client = await connectURL(`ws://127.0.0.1:${port}${path}`, connectOptions);
      await client.readJSON();
      return client;
    },
  };
}
