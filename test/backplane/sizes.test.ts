import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { EnfiladeError } from "../../src/index.js";
import { missing } from "../support/parts.js";
import { nodeOf, startCluster, type TestCluster, until } from "./cluster.js";

/** Bytes of one message, headers included, that the server accepts. */
const payloadMax = 16 * 1024;
const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);

async function start(): Promise<TestCluster> {
  const folder = mkdtempSync(join(tmpdir(), "enfilade-nats-conf-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "nats.conf");
  writeFileSync(file, `max_payload: ${payloadMax}\n`);
  const cluster = await startCluster("nats", 2, { engine: { args: ["--config", file] } });
  await until(() => cluster.nodes.every(({ app }) => app.status().backplane.nodes === 2));
  return cluster;
}

describe.skipIf(missing("nats", "the size of messages over NATS"))(
  "with a NATS server that takes small messages only",
  () => {
    it.each(["/plain/a", "/kept/a"])("splits what is published to %s at once, so that it fits", async (path) => {
      const cluster = await start();
      const clients = await Promise.all(cluster.nodes.map((node) => node.open(path)));
      const room = nodeOf(cluster, 0).app.registry.room(path);
      const values = numbers(200).map((n) => `${n} ${"x".repeat(500)}`);
      await Promise.all(values.map((value) => room.publish(value)));
      for (const client of clients) for (const value of values) expect(await client.readJSON()).toBe(value);
      for (const { app, errors } of cluster.nodes) {
        expect(errors).toEqual([]);
        expect(app.status().backplane.unpublished).toBe(0);
      }
    });

    it.each(["/plain/a", "/kept/a"])(
      "refuses a message to %s that alone is too large, and names the size",
      async (path) => {
        const cluster = await start();
        const client = await nodeOf(cluster, 1).open(path);
        const room = nodeOf(cluster, 0).app.registry.room(path);
        const around = ["before", "x".repeat(2 * payloadMax), "after"].map((value) => room.publish(value));
        const [before, tooLarge, after] = await Promise.allSettled(around);
        expect([before?.status, after?.status]).toEqual(["fulfilled", "fulfilled"]);
        if (tooLarge?.status !== "rejected") throw new Error("the message is too large");
        expect(tooLarge.reason).toBeInstanceOf(EnfiladeError);
        expect(tooLarge.reason).toMatchObject({ code: "ERR_VALUE", message: expect.stringMatching(/bytes/) });
        expect(await client.readJSON()).toBe("before");
        expect(await client.readJSON()).toBe("after");
        for (const { app } of cluster.nodes) expect(app.status().ready).toBe(true);
      },
    );
  },
);
