import type { Backplane } from "../../backplane/backplane.js";
import type { Clock } from "../../connection/clock.js";
import { App } from "../../server/app.js";
import { describeAddress } from "../../wire/options.js";
import { type Finding, ok, problem, warning } from "./finding.js";

export type EngineName = "redis" | "nats";

/** Milliseconds to connect to an engine. */
const connectMs = 10_000;
const pollMs = 20;

const packages = { redis: "ioredis", nats: "@nats-io/transport-node @nats-io/jetstream" };

/** Connects to an engine as an app does, and sends itself a message through it. */
export async function checkEngine(name: EngineName, url: string, prefix: string, clock: Clock): Promise<Finding[]> {
  const address = `${name} at ${describeAddress(url)}`;
  try {
    return await probe(address, await backplaneOf(name, url, prefix), clock);
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    const isMissing = code === "ERR_MODULE_NOT_FOUND";
    const text = isMissing ? `the client of ${name} is not installed` : `${address}: ${message}`;
    return [problem(text, isMissing ? `npm install ${packages[name]}` : `pass a URL such as ${name}://127.0.0.1`)];
  }
}

async function backplaneOf(name: EngineName, url: string, prefix: string): Promise<Backplane> {
  if (name === "redis") return (await import("../../redis/index.js")).redis(url, { prefix });
  return (await import("../../nats/index.js")).nats(url, { prefix });
}

async function probe(address: string, backplane: Backplane, clock: Clock): Promise<Finding[]> {
  const app = new App({ backplane, logger: { warn: () => undefined, error: () => undefined } });
  const errors: string[] = [];
  app.on("error", (error) => errors.push(reasonOf(error)));
  try {
    const end = clock.now() + connectMs;
    const isUp = () => app.status().backplane.state === "up";
    while (!isUp() && errors.length === 0 && clock.now() < end) await pause(clock);
    if (!isUp()) {
      const reason = errors.at(-1) ?? `no answer in ${connectMs / 1_000} s`;
      return [problem(`${address} cannot be reached: ${reason}`, "check the address, the password and the firewall")];
    }
    const startedAt = clock.now();
    const { ready } = await app.health();
    const ms = Math.ceil(clock.now() - startedAt);
    const advice = "check that the user may publish and subscribe to channels with the prefix";
    const delivery = ready ? ok(`${address} delivers, in ${ms} ms`) : problem(`${address} does not deliver`, advice);
    return [delivery, ...errors.map((error) => warning(`${address}: ${error}`, "see docs/many-nodes.md"))];
  } finally {
    await app.close({ timeoutMs: 100 });
  }
}

function pause(clock: Clock): Promise<void> {
  return new Promise((resolve) => clock.setTimeout(resolve, pollMs));
}

/** The error of an engine names the app's view; its cause is the engine's own. */
function reasonOf(error: Error): string {
  const { cause } = error;
  const inner = cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code : undefined;
  return inner ?? error.message;
}
