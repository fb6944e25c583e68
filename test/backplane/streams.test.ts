import { describe, expect, it } from "vitest";
import { App } from "../../src/index.js";
import { start } from "../support/app.js";
import { startEngine } from "../support/engines.js";
import { missing } from "../support/parts.js";
import { FrameClient, Generators, streaming } from "../support/streams.js";

describe.each(["redis", "nats"] as const)("a stream on nodes that share %s", (name) => {
  it.skipIf(missing(name, "streams over nodes"))("runs once, and is lost on another node", async () => {
    const engine = await startEngine(name);
    const generators = new Generators();
    const startNode = async () => {
      const app = new App({ backplane: engine.backplane(), limits: { claimMs: 300 } });
      app.route("/room/:name", streaming(generators));
      await start(app);
      return app;
    };
    const [one, two] = [await startNode(), await startNode()];
    const first = await FrameClient.open(one);
    first.count(1, 10, { window: 1 });
    first.count(2, 10, { window: 1 });
    first.count(3, 2);
    await first.take(5);
    await first.cut(one);
    expect(generators.asked.all).toHaveLength(4);

    const second = await FrameClient.open(two);
    // The client has an item: it is lost at once.
    second.count(1, 10, { from: 1 });
    expect(await second.next()).toMatchObject({ type: "reply", id: 1, error: { code: "lost" } });
    // It has none, so that the other node is asked first.
    second.count(2, 10);
    expect(await second.next()).toMatchObject({ type: "reply", id: 2, error: { code: "lost" } });
    // It has ended there: the number of its items shows the client that it has missed them.
    second.count(3, 2);
    expect(await second.next()).toMatchObject({ type: "reply", id: 3, data: "2 numbers", seq: 2 });
    expect(generators.asked.all).toHaveLength(4);
    // The streams are still there for a client that returns to their node.
    await second.cut(two);
    const third = await FrameClient.open(one);
    third.count(1, 10, { from: 1, window: 2 });
    expect(await third.next()).toMatchObject({ type: "item", id: 1, seq: 1 });
  });
});
