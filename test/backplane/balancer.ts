import { once } from "node:events";
import { connect, createServer } from "node:net";
import { onTestFinished } from "vitest";
import type { ClusterNode } from "./cluster.js";

type BalancedNode = Pick<ClusterNode, "app" | "port">;

/** Forwards each connection to one of the ready nodes, in turn. */
export interface Balancer {
  readonly port: number;
  readonly nodes: BalancedNode[];
}

export async function startBalancer(nodes: readonly BalancedNode[]): Promise<Balancer> {
  const balanced = [...nodes];
  let turn = 0;
  const server = createServer((near) => {
    const ready = balanced.filter(({ app }) => app.status().ready);
    const node = ready[turn++ % ready.length];
    if (node === undefined) {
      near.destroy();
      return;
    }
    const far = connect(node.port, "127.0.0.1");
    near.on("error", () => far.destroy()).pipe(far);
    far.on("error", () => near.destroy()).pipe(near);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a server on a port has an address");
  return { port: address.port, nodes: balanced };
}
