// Values of a streamed reply, compared with as many messages that a handler sends on the same connection.
import { App, EventHandler } from "../../dist/index.js";
import { nowMs } from "../clock.mjs";
import { ClientProcess } from "./clientProcess.mjs";
import { check, finish, settings } from "./contract.mjs";

const { bytes, count, warmMs, measureMs } = settings;
const text = "x".repeat(Math.max(0, bytes - JSON.stringify({ n: 1_000_000, t: "" }).length));
const highWaterBytes = 64 * 1024;

async function* generate(number) {
  for (let n = 0; n < number; n++) yield { n: 1_000_000 + n, t: text };
}

class Values extends EventHandler {
  static events = { items: "onItems", sends: "onSends" };

  onItems(number) {
    return generate(number);
  }

  async onSends(number) {
    for await (const value of generate(number)) {
      this.sendJSON(value);
      if (this.connection.bufferedBytes >= highWaterBytes) await this.connection.flushed();
    }
  }
}

const app = new App().route("/values", Values);
const { port } = await app.listen(0, "127.0.0.1");
const client = new ClientProcess("streamItems.mjs", { ...settings, port });

/** @param {"items" | "sends"} event @returns {Promise<Partial<import("../measure.mjs").Run>>} */
async function measure(event) {
  const run = async (forMs) => {
    let rounds = 0;
    for (const endMs = nowMs() + forMs; nowMs() < endMs; rounds++)
      check(await client.ask({ event, count }), count, event);
    return rounds;
  };
  await run(warmMs);
  const [begunMs, cpu] = [nowMs(), process.cpuUsage()];
  const values = (await run(measureMs)) * count;
  const seconds = (nowMs() - begunMs) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: values / seconds, cpuUs: (user + system) / values };
}

// In another order each time, since the place affects the result.
const isFirst = Math.random() < 0.5;
const one = isFirst ? await measure("items") : undefined;
const base = await measure("sends");
finish({ load: one ?? (await measure("items")), base });
