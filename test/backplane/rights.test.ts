import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { waitFor } from "../faults/clusterRun.js";
import { missing } from "../support/parts.js";
import { SequenceClient } from "../support/sequenceClient.js";
import { nodeOf, startCluster } from "./cluster.js";

const page = new URL("../../docs/many-nodes.md", import.meta.url);
const v1 = { protocols: ["enfilade.v1"] };

/** The rules of `ACL SETUSER enfilade …` in a code block of the page, without the password. */
function documentedRules(): string[] {
  const blocks = [...readFileSync(page, "utf8").matchAll(/```\w*\n([\s\S]*?)```/g)].map(([, text = ""]) => text);
  const block = blocks.find((text) => /^ACL SETUSER enfilade\b/m.test(text));
  if (block === undefined) throw new Error("docs/many-nodes.md has no code block with ACL SETUSER enfilade");
  // A command may go on in the next line.
  const [command = ""] = /^ACL SETUSER enfilade.*$/m.exec(block.replaceAll(/\s*\\\n\s*|\n[ \t]+/g, " ")) ?? [];
  const rules = command.trim().split(/\s+/).slice(3);
  return rules.filter((rule) => rule !== "on" && !/^[<>#!]/.test(rule));
}

describe.skipIf(missing("redis", "the rights of a Redis user"))("a Redis user", () => {
  const everythingSafe = ["~*", "&*", "+@all", "-@dangerous"];

  it("who may not call INFO gets a clear error for rooms with history, from publishing and from joining", async () => {
    const cluster = await startCluster("redis", 2, { engine: { acl: everythingSafe } });
    const node = nodeOf(cluster, 0);
    await waitFor("the engine is up", () => node.app.status().backplane.state === "up");
    const room = node.app.registry.room("/kept/a");
    const refusal = { code: "ERR_BACKPLANE", message: expect.stringContaining("+info") };
    await expect(room.publish("refused")).rejects.toMatchObject(refusal);
    await expect(room.history()).rejects.toMatchObject(refusal);
    await expect(room.subscribe({ replay: 1 }).next()).rejects.toMatchObject(refusal);
    node.errors.length = 0;
    const client = await node.open("/kept/a", v1).catch((error) => error);
    // Either the client could not read its greeting, or it was closed right after it.
    const ended = client instanceof Error ? undefined : await client.closed;
    expect([1011, 1013]).toContain(ended?.code ?? 1013);
    await waitFor("the node reports why", () => node.errors.some(({ message }) => message.includes("+info")));
  });

  it("who may not call INFO can use rooms without history", async () => {
    const cluster = await startCluster("redis", 2, { engine: { acl: everythingSafe } });
    const clients = await Promise.all(cluster.nodes.map((node) => node.open("/plain/a")));
    await nodeOf(cluster, 0).app.registry.room("/plain/a").publish("works");
    for (const client of clients) expect(await client.readJSON()).toBe("works");
    expect(cluster.nodes.map(({ app }) => app.status().ready)).toEqual([true, true]);
  });

  it("with the rights that the page on many nodes lists has history, recovery and presence", async () => {
    const cluster = await startCluster("redis", 3, { engine: { acl: documentedRules() } });
    const [first, second] = [nodeOf(cluster, 0), nodeOf(cluster, 1)];
    const room = first.app.registry.room("/kept/a");
    const clients = await Promise.all(
      cluster.nodes.map(({ port }, n) => SequenceClient.open(`ws://127.0.0.1:${port}/kept/a?user=user-${n}`)),
    );
    const plain = await second.open("/plain/a");
    for (const n of [1, 2, 3]) await room.publish(`id-${n}`);
    await first.app.registry.room("/plain/a").publish("plain");
    await waitFor("all have all", () => clients.every(({ ids }) => ids.length === 3));
    expect(await plain.readJSON()).toBe("plain");
    expect((await second.app.registry.room("/kept/a").history()).map(({ data }) => data)).toEqual([
      "id-1",
      "id-2",
      "id-3",
    ]);
    const position = clients[0]?.room.position;
    for (const n of [4, 5]) await room.publish(`id-${n}`);
    const late = await second.open(`/kept/a?since=${position?.epoch}:${Number(position?.offset) - 1}`, v1);
    const frames = [await late.readJSON(), await late.readJSON(), await late.readJSON()];
    expect(JSON.stringify(frames)).toContain("id-5");
    const users = ["user-0", "user-1", "user-2"];
    for (const { app } of cluster.nodes) {
      let present: string[] = [];
      while (present.join() !== users.join()) {
        present = (await app.registry.room("/kept/a").presence()).users
          .map(({ id }) => id)
          .filter((id) => users.includes(id));
        present.sort();
      }
    }
    for (const { errors } of cluster.nodes) expect(errors).toEqual([]);
  });
});
