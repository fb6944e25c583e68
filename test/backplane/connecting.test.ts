import { describe, expect, it, onTestFinished } from "vitest";
import { App } from "../../src/index.js";
import { waitFor } from "../faults/clusterRun.js";
import { startEngine } from "../support/engines.js";
import { missing } from "../support/parts.js";
import { startProxy } from "../support/proxy.js";
import { Talker } from "./talker.js";

/** Milliseconds that each chunk takes to the engine and back: a node takes some of them to connect. */
const delayMs = 15;
const tick = () => new Promise((resolve) => setImmediate(resolve));

for (const name of ["redis", "nats"] as const) {
  describe.skipIf(missing(name, `connecting to ${name}`))(`while ${name} is being connected`, () => {
    it.each(["/plain/a", "/kept/a"])("no publication to %s overtakes an earlier one", async (path) => {
      const engine = await startEngine(name);
      const startApp = (url?: string) => {
        const app = new App({ backplane: engine.backplane(url) });
        app.route("/plain/:name", Talker).route("/kept/:name", Talker, { history: { size: 100_000 } });
        onTestFinished(() => app.close());
        return app;
      };
      const other = startApp();
      await other.listen(0, "127.0.0.1");
      await waitFor("the other node is up", () => other.status().ready);
      const heard: number[] = [];
      const subscription = other.registry.room(path).subscribe();
      (async () => {
        for await (const { data } of subscription) heard.push(Number(data));
      })().catch((error) => heard.push(error));
      await other.registry.room(path).publish(0);
      await waitFor("the subscription works", () => heard.length === 1);
      const proxy = await startProxy(engine.port);
      proxy.delay(delayMs);
      for (let start = 0; start < 3; start += 1) {
        heard.length = 0;
        const app = startApp(`${name}://127.0.0.1:${proxy.port}`);
        const own: number[] = [];
        const room = app.registry.room(path);
        const accepted: number[] = [];
        const answers: Promise<unknown>[] = [];
        let n = 0;
        const publish = () => {
          n += 1;
          const number = n;
          answers.push(room.publish(number).then(() => accepted.push(number)));
        };
        publish();
        await app.listen(0, "127.0.0.1");
        const local = room.subscribe();
        (async () => {
          for await (const { data } of local) own.push(Number(data));
        })().catch((error) => own.push(error));
        const from = n;
        for (let more = 200; more > 0; ) {
          publish();
          await tick();
          if (app.status().backplane.state === "up") more -= 1;
        }
        await Promise.all(answers);
        const all = Array.from({ length: n }, (_, index) => index + 1);
        await waitFor("all have arrived", () => heard.length >= n && own.at(-1) === n);
        expect(accepted.toSorted((a, b) => a - b)).toEqual(all);
        expect(heard).toEqual(all);
        // Its own subscription may have begun after the first ones.
        expect(own).toEqual(all.slice(-own.length));
        expect(own.length).toBeGreaterThanOrEqual(n - from);
        await local.return();
        await app.close();
      }
      await subscription.return();
    });
  });
}
