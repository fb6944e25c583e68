import { cpSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Redis } from "ioredis";
import { describe, expect, it, onTestFinished } from "vitest";
import { App } from "../../src/index.js";
import { redis } from "../../src/redis/index.js";
import { connect } from "../../src/testing/index.js";
import { startEngine, startRedisCluster } from "../support/engines.js";
import { missing } from "../support/parts.js";
import { callRedis } from "../support/redisServer.js";
import { until } from "./cluster.js";
import { Talker } from "./talker.js";

/** Another copy of ioredis, as npm installs it when two packages need different versions. */
function copyOfIORedis(): typeof import("ioredis") {
  const own = createRequire(import.meta.url);
  const source = dirname(realpathSync(own.resolve("ioredis/package.json")));
  const modules = join(mkdtempSync(join(tmpdir(), "enfilade-ioredis-")), "node_modules");
  onTestFinished(() => rmSync(dirname(modules), { recursive: true }));
  mkdirSync(modules);
  cpSync(source, join(modules, "ioredis"), { recursive: true });
  // Its dependencies are the same.
  const installed = dirname(source);
  for (const name of readdirSync(installed)) {
    if (name !== "ioredis" && !name.startsWith(".")) symlinkSync(join(installed, name), join(modules, name));
  }
  // The copy has the types of the original.
  return createRequire(join(modules, "program.js"))("ioredis") as typeof import("ioredis");
}

async function delivers(app: App): Promise<void> {
  const one = await connect(app, "/plain/a");
  one.sendJSON("through a copy");
  expect([await one.readJSON(), await one.readJSON()]).toEqual(["hello", "through a copy"]);
}

function appWith(source: Parameters<typeof redis>[0]): App {
  const app = new App({ backplane: redis(source) }).route("/plain/:name", Talker);
  onTestFinished(() => app.close());
  return app;
}

describe.skipIf(missing("redis", "clients of another copy of ioredis"))("a client of another copy of ioredis", () => {
  it("is connected to its own server, and not to localhost", async () => {
    const engine = await startEngine("redis");
    const Other = copyOfIORedis();
    const own = new Other.Redis(engine.port, "127.0.0.1");
    onTestFinished(() => own.disconnect());
    expect(own).not.toBeInstanceOf(Redis);
    await delivers(appWith(own));
    expect(await own.pubsub("CHANNELS", "*")).toContain("enfilade:{/plain/a}");
  });

  it("is connected to its own server if it was not connected yet", async () => {
    const engine = await startEngine("redis");
    const Other = copyOfIORedis();
    await delivers(appWith(new Other.Redis({ port: engine.port, host: "127.0.0.1", lazyConnect: true })));
    expect(await callRedis(engine.port, "PUBSUB", "CHANNELS", "*")).toContain("enfilade:{/plain/a}");
  });

  it("can be a Cluster", async () => {
    const engine = await startRedisCluster();
    const Other = copyOfIORedis();
    const own = new Other.Cluster([{ host: "127.0.0.1", port: engine.port }]);
    onTestFinished(() => own.disconnect());
    const app = appWith(own);
    await until(() => app.status().ready);
    await delivers(app);
    const master = await engine.masterOf("enfilade:{/plain/a}");
    expect(await master.call("PUBSUB", "SHARDCHANNELS", "*")).toContain("enfilade:{/plain/a}");
  });

  it("with a keyPrefix is refused, like one of a Cluster", () => {
    const Other = copyOfIORedis();
    const single = new Other.Redis({ lazyConnect: true, keyPrefix: "shop:" });
    const many = new Other.Cluster([{ host: "127.0.0.1", port: 1 }], { lazyConnect: true, keyPrefix: "shop:" });
    const inner = new Other.Cluster([{ host: "127.0.0.1", port: 1 }], {
      lazyConnect: true,
      redisOptions: { keyPrefix: "shop:" },
    });
    for (const source of [single, many, inner]) {
      expect(() => redis(source)).toThrow(
        expect.objectContaining({ code: "ERR_OPTION", message: expect.stringContaining("keyPrefix") }),
      );
    }
  });
});

it.each([{ durable: true }, { prefix: "shop" }])("redis() refuses %j among the options of ioredis", (own) => {
  const source: object = { host: "127.0.0.1", ...own };
  const [name] = Object.keys(own);
  const refusal = { code: "ERR_OPTION", message: expect.stringContaining(`redis(source, { ${name} })`) };
  expect(() => redis(source)).toThrow(expect.objectContaining(refusal));
});
