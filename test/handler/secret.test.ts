import { describe, expect, it } from "vitest";
import { connect as connectRoom } from "../../src/client/index.js";
import { App, EventHandler, On } from "../../src/index.js";
import { connect, socketsOf } from "../../src/testing/index.js";
import { Mailbox, start } from "../support/app.js";

const path = "/work?client=client-0123456789";

function workApp() {
  const ran = new Mailbox<unknown>();
  class Work extends EventHandler {
    @On("pay")
    onPay(data: unknown) {
      ran.put(data);
      return `paid by ${String(data)}`;
    }
  }
  return { app: new App().route("/work", Work), ran };
}

/** A client of `enfilade.v1` that offers a secret, and the secret in its welcome. */
async function join(app: App, offered?: string) {
  const client = await connect(app, path, { protocols: ["enfilade.v1", ...(offered ? [offered] : [])] });
  const { secret } = (await client.readJSON()) as { secret?: string };
  const ask = async (data: unknown) => {
    client.sendJSON({ type: "event", event: "pay", data, id: 1 });
    return client.readJSON();
  };
  return { client, secret, ask };
}

describe("the secret of a client", () => {
  it("is in the welcome, another one for each client, and only with it the earlier replies are sent", async () => {
    const { app, ran } = workApp();
    const ann = await join(app);
    expect(ann.secret).toMatch(/^[\w-]{22}$/);
    const reply = { type: "reply", id: 1, data: "paid by ann" };
    expect(await ann.ask("ann")).toEqual(reply);
    const again = await join(app, `enfilade.secret.${ann.secret}`);
    expect(again.secret).toBe(ann.secret);
    expect(await again.ask("again")).toEqual(reply);
    // The same id of a client, in the same room, without a user.
    const other = await join(app);
    expect(other.secret).not.toBe(ann.secret);
    expect(await other.ask("eve")).toEqual({ type: "reply", id: 1, data: "paid by eve" });
    expect(ran.all).toEqual(["ann", "eve"]);
    await app.close();
  });

  it.each([
    ["of another client", `enfilade.secret.${"x".repeat(22)}`],
    ["that is too short", "enfilade.secret.x"],
    ["that is empty", "enfilade.secret."],
    ["that is the id of the client", "enfilade.secret.client-0123456789"],
  ])("begins an own window with one %s", async (_what, offered) => {
    const { app, ran } = workApp();
    const ann = await join(app);
    await ann.ask("ann");
    const eve = await join(app, offered);
    expect(await eve.ask("eve")).toEqual({ type: "reply", id: 1, data: "paid by eve" });
    expect(ran.all).toHaveLength(2);
    await app.close();
  });

  it("is not sent to a client without an id, whose window ends with its connection", async () => {
    const { app } = workApp();
    const client = await connect(app, "/work", { protocols: ["enfilade.v1", `enfilade.secret.${"s".repeat(22)}`] });
    expect(await client.readJSON()).not.toHaveProperty("secret");
    await app.close();
  });

  it("is sent back by enfilade/client among the subprotocols, and never in the URL", async () => {
    const { app, ran } = workApp();
    const { app: running } = await start(app);
    const requests = new Mailbox<{ readonly url: string; readonly offered: string }>();
    running.on("open", ({ request }) => {
      requests.put({ url: request.url, offered: request.headers["sec-websocket-protocol"] ?? "" });
    });
    const WebSocket = socketsOf(app);
    const room = connectRoom("ws://localhost/work", { WebSocket, random: () => 0 });
    await room.request("pay", "first");
    for (const connection of app.registry.connections) connection.close(4000);
    await room.request("pay", "second");
    const [first, second] = await requests.have(2);
    expect(first?.offered).toBe("enfilade.v1");
    const [, secret = "none"] = /enfilade\.secret\.([\w-]{22})/.exec(second?.offered ?? "") ?? [];
    expect(second?.offered).toBe(`enfilade.v1, enfilade.secret.${secret}`);
    expect(second?.url).not.toContain(secret);
    expect(ran.all).toEqual(["first", "second"]);
    room.close();
  });
});
