/**
 * A node in a process of its own that answers requests: `node --import tsx requestNode.ts redis|nats <url> <limits>`.
 *
 * Its first line has its port, and each other line the data of a request that it runs.
 */
import { App, EventHandler, type Limits, On, Route } from "../../src/index.js";
import { nats } from "../../src/nats/index.js";
import { redis } from "../../src/redis/index.js";

const [engine, url = "", limits = "{}"] = process.argv.slice(2);

@Route("/work/:name")
class Worker extends EventHandler {
  @On("work")
  async onWork(data: { readonly name: string; readonly turns: number }) {
    process.stdout.write(`${data.name}\n`);
    for (let turn = 0; turn < data.turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    return { did: data.name, pid: process.pid };
  }

  @On("hang")
  async onHang(data: { readonly name: string }) {
    process.stdout.write(`${data.name}\n`);
    await new Promise(() => undefined);
  }
}

const backplane = engine === "redis" ? redis(url) : nats(url, { storage: "memory" });
// The test wrote the text that JSON.parse reads here.
const checked = JSON.parse(limits) as Partial<Limits>;
// The log would report outages that the test makes on purpose.
const logger = { warn: () => undefined, error: () => undefined };
const app = new App({ handlers: [Worker], backplane, limits: checked, logger });
const { port } = await app.listen(0, "127.0.0.1");
console.log(port);
// The parent process has ended, so this one ends too.
process.stdin.resume().on("close", () => process.exit());
