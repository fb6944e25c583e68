import { describe, expect, it, onTestFinished } from "vitest";
import { App } from "../../src/index.js";
import { forget } from "../faults/clusterFaults.js";
import { waitFor } from "../faults/clusterRun.js";
import { type EngineServer, startEngine } from "../support/engines.js";
import { missing } from "../support/parts.js";
import { startProxy } from "../support/proxy.js";
import { Talker } from "./talker.js";

/** Milliseconds that each chunk takes to the engine and back: a node takes some of them to connect. */
const delayMs = 15;

for (const name of ["redis", "nats"] as const) {
  describe.skipIf(missing(name, `connecting to ${name}`))(`while ${name} is being connected`, () => {
    it.each([
      ["/plain/a", "here and elsewhere"],
      ["/plain/a", "elsewhere"],
      ["/kept/a", "here and elsewhere"],
      ["/kept/a", "elsewhere"],
    ])("no publication to %s, which is open %s, overtakes an earlier one", async (path, where) => {
      const engine = await startEngine(name);
      const other = appOn(engine);
      await other.listen(0, "127.0.0.1");
      await waitFor("the other node is up", () => other.status().ready);
      const heard = listen(other, path);
      await other.registry.room(path).publish(0);
      await waitFor("the subscription works", () => heard.length === 1);
      const proxy = await startProxy(engine.port);
      proxy.delay(delayMs);
      for (let start = 0; start < 3; start += 1) {
        heard.length = 0;
        const app = appOn(engine, `${name}://127.0.0.1:${proxy.port}`);
        const own = where === "elsewhere" ? undefined : listen(app, path);
        const all = await publishWhileConnecting(app, path);
        await waitFor(
          "all have arrived",
          () => heard.length >= all.length && (own?.length ?? all.length) >= all.length,
        );
        expect(inversionsOf(heard)).toEqual([]);
        expect(inversionsOf(own ?? [])).toEqual([]);
        expect([heard.length, own?.length ?? all.length]).toEqual([all.length, all.length]);
        await app.close();
      }
    });

    it.each(["/plain/a", "/kept/a"])(
      "no publication to %s overtakes an earlier one while the room opens here",
      async (path) => {
        const engine = await startEngine(name);
        const other = appOn(engine);
        const proxy = await startProxy(engine.port);
        const app = appOn(engine, `${name}://127.0.0.1:${proxy.port}`);
        for (const one of [other, app]) await one.listen(0, "127.0.0.1");
        await waitFor("both nodes are up", () => other.status().ready && app.status().ready);
        for (let start = 0; start < 5; start += 1) {
          const heard = listen(other, `${path}${start}`);
          await other.registry.room(`${path}${start}`).publish(0);
          await waitFor("the subscription works", () => heard.length === 1);
          proxy.delay(delayMs);
          const room = app.registry.room(`${path}${start}`);
          const answers: Promise<unknown>[] = [];
          let own: unknown[] = [];
          const publish = () => answers.push(room.publish(answers.length + 1));
          // A few at first, then until the room is open here, and a few more.
          for (let turn = 0, more = 200; more > 0; turn += 1) {
            if (turn === 200) own = listen(app, `${path}${start}`);
            if (turn % 10 === 0) publish();
            await new Promise((resolve) => setImmediate(resolve));
            if (own.length > 0) more -= 1;
          }
          await Promise.all(answers);
          await waitFor("all have arrived", () => heard.length > answers.length);
          expect(inversionsOf(heard)).toEqual([]);
          expect(inversionsOf(own)).toEqual([]);
          proxy.delay(0);
        }
      },
    );
  });
}

describe.skipIf(missing("nats", "streams that are deleted"))("when the streams of NATS are deleted", () => {
  it("no publication overtakes an earlier one of its node", async () => {
    const engine = await startEngine("nats");
    const [app, other] = [appOn(engine), appOn(engine)];
    for (const one of [app, other]) await one.listen(0, "127.0.0.1");
    await waitFor("both nodes are up", () => other.status().ready && app.status().ready);
    const room = app.registry.room("/kept/a");
    await room.publish(0);
    const heard = listen(other, "/kept/a");
    for (let round = 0; round < 20; round += 1) {
      const first = (round + 1) * 1_000_000;
      const answers: Promise<unknown>[] = [];
      // Those behind the first one that finds no stream are refused.
      const publish = () => answers.push(room.publish(first + answers.length).catch(ignore));
      for (let n = 0; n < 20; n += 1) publish();
      const deleting = forget(engine);
      let isDeleted = false;
      deleting.finally(() => {
        isDeleted = true;
      });
      for (let more = 200; more > 0; ) {
        publish();
        await new Promise((resolve) => setImmediate(resolve));
        if (isDeleted) more -= 1;
      }
      await deleting;
      await Promise.all(answers);
      const last = await room.publish(first + 999_999);
      expect(last?.offset).toBeGreaterThan(0);
      await waitFor("the last one has arrived", () => heard.at(-1) === first + 999_999);
    }
    expect(inversionsOf(heard)).toEqual([]);
  });
});

const ignore = () => undefined;

function appOn(engine: EngineServer, url?: string): App {
  const app = new App({ backplane: engine.backplane(url), limits: { subscriberMessagesMax: 100_000 } });
  app.route("/plain/:name", Talker).route("/kept/:name", Talker, { history: { size: 100_000 } });
  onTestFinished(() => app.close());
  return app;
}

/** The numbers that a subscription gets. */
function listen(app: App, path: string): unknown[] {
  const heard: unknown[] = [];
  const listening = (async () => {
    for await (const { data } of app.registry.room(path).subscribe()) heard.push(data);
  })();
  listening.catch((error) => heard.push(error));
  return heard;
}

/** Publishes from before the app is connected until some time after it. Returns all numbers: each was accepted. */
async function publishWhileConnecting(app: App, path: string): Promise<number[]> {
  const answers: Promise<unknown>[] = [];
  const publish = () => answers.push(app.registry.room(path).publish(answers.length + 1));
  publish();
  await app.listen(0, "127.0.0.1");
  for (let turn = 1, more = 300; more > 0; turn += 1) {
    const isUp = app.status().backplane.state === "up";
    if (isUp || turn % 20 === 0) publish();
    if (isUp) more -= 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(answers);
  return answers.map((_, index) => index + 1);
}

/** The first numbers that came after a larger one. */
function inversionsOf(numbers: readonly unknown[]): string[] {
  return numbers
    .map((number, index) =>
      index > 0 && Number(number) < Number(numbers[index - 1]) ? `${number} after ${numbers[index - 1]}` : "",
    )
    .filter((text) => text !== "")
    .slice(0, 5);
}
