import { describe, expect, it, onTestFinished } from "vitest";
import { App, commandEvents, EventHandler, On, spacedEvents } from "../../src/index.js";
import { nats } from "../../src/nats/index.js";
import { redis } from "../../src/redis/index.js";
import { connect } from "../../src/testing/index.js";
import { startEngine } from "../support/engines.js";
import { missing } from "../support/parts.js";

class Chat extends EventHandler {
  override onConnect() {
    this.join("/lobby");
    this.emit("ready");
  }
  @On()
  onSay(data: unknown) {
    this.emitToRoom("/lobby", "said", data);
  }
}

for (const name of ["redis", "nats"] as const) {
  describe.skipIf(missing(name, `events over ${name}`))(`an event over ${name}`, () => {
    async function startNode(url: string) {
      const backplane = name === "redis" ? redis(url) : nats(url, { storage: "memory" });
      const app = new App({ backplane })
        .route("/json", Chat)
        .route("/spaced", Chat, { eventProtocol: spacedEvents })
        .route("/command", Chat, { eventProtocol: commandEvents })
        .route("/lobby", Chat, { history: { size: 10 } });
      onTestFinished(() => app.close({ timeoutMs: 500 }));
      return app;
    }

    it("reaches each client of another node in the protocol of its own route, live and from history", async () => {
      const { url } = await startEngine(name);
      const [here, there] = [await startNode(url), await startNode(url)];
      const sender = await connect(here, "/json");
      const json = await connect(there, "/json");
      const spaced = await connect(there, "/spaced");
      const command = await connect(there, "/command");
      for (const client of [sender, json, spaced, command]) await client.read();
      sender.sendJSON({ event: "say", data: { text: "hello" } });
      expect(await json.readJSON()).toEqual({ event: "said", data: { text: "hello" } });
      expect(await spaced.readText()).toBe('said {"text":"hello"}');
      expect(await command.readJSON()).toEqual({
        from: expect.any(String),
        channel: "/lobby",
        cmd: "said",
        param: { text: "hello" },
      });
      expect((await there.registry.room("/lobby").history()).map(({ data }) => data)).toEqual([
        { event: "said", data: { text: "hello" } },
      ]);
    });
  });
}
