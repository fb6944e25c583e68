import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { connect } from "../../src/client/index.js";
import { App, type AppOptions, anonymous, EventHandler, On, type Revocation } from "../../src/index.js";
import type { TestClient } from "../../src/testing/index.js";
import { startCluster, until } from "../backplane/cluster.js";
import { Mailbox, start } from "../support/app.js";
import { missing } from "../support/parts.js";

const revoked = { code: 4501, reason: "revoked" };

class Bank extends EventHandler<object, { id: string } | undefined> {
  static ran = 0;
  override authorize() {
    const id = this.query.get("user");
    return id === null ? anonymous : { id };
  }
  @On() pay() {
    Bank.ran += 1;
    return Bank.ran;
  }
}

function startBank(options: AppOptions = {}) {
  return start(new App(options).route("/bank/**:path", Bank));
}

/** True if the server still answers the client. */
async function isServed(client: TestClient): Promise<boolean> {
  client.sendJSON({ event: "unknown", id: 1 });
  return JSON.stringify(await client.readJSON()).includes("unknown_event");
}

for (const name of ["memory", "redis", "nats"] as const) {
  describe.skipIf(name !== "memory" && missing(name, `revoke() over ${name}`))(`app.revoke() over ${name}`, () => {
    it("closes the connections of a user on every node with 4501, and no others", async () => {
      const cluster = await startCluster(name, name === "memory" ? 1 : 3);
      const [first, last = first] = [cluster.nodes[0], cluster.nodes.at(-1)];
      if (first === undefined || last === undefined) throw new Error("there are nodes");
      await until(() => first.app.status().backplane.nodes === cluster.nodes.length);
      const of = (query: string) => Promise.all(cluster.nodes.map(({ open }) => open(`/plain/a${query}`)));
      const [ann, bob, others] = [await of("?user=ann"), await of("?user=bob"), await of("")];
      await first.app.revoke({ user: "ann" });
      for (const client of ann) expect(await client.closed).toMatchObject(revoked);
      // A node that has no connection of the user does nothing.
      await last.app.revoke({ user: { id: "ann" } });
      const [id] = last.app.registry.user("bob").members();
      await first.app.revoke({ connection: id ?? "" });
      expect(await bob.at(-1)?.closed).toMatchObject(revoked);
      await first.app.revoke({ connection: "AAAAAAAAAAAAAAAAAAAAAA" });
      const served = [...bob.slice(0, -1), ...others];
      for (const client of served) {
        client.sendJSON("still here");
        expect(JSON.stringify(await client.readJSON())).toContain("still here");
      }
      expect(cluster.nodes.flatMap(({ errors }) => errors)).toEqual([]);
      expect(cluster.nodes.map(({ app }) => app.status().backplane.malformed)).toEqual(cluster.nodes.map(() => 0));
    });

    it("closes all connections in a room or a tree on every node", async () => {
      const cluster = await startCluster(name, name === "memory" ? 1 : 2);
      const [first, last = first] = [cluster.nodes[0], cluster.nodes.at(-1)];
      if (first === undefined || last === undefined) throw new Error("there are nodes");
      const room = [await first.open("/org/7"), await last.open("/org/7")];
      const below = [await first.open("/org/7/a"), await last.open("/org/7/b")];
      const other = await last.open("/org/8");
      await first.app.revoke({ room: "/org/7" });
      for (const client of room) expect(await client.closed).toMatchObject(revoked);
      await last.app.revoke({ room: "/org/7/**" });
      for (const client of below) expect(await client.closed).toMatchObject(revoked);
      other.sendJSON("still here");
      expect(await other.readJSON()).toBe("still here");
    });
  });
}

describe("app.revoke()", () => {
  it("is final for enfilade/client: it does not reconnect", async () => {
    const { app, url } = await startBank();
    const room = connect<Bank>(`${url}/bank/a?user=ann`, { WebSocket });
    await room.opened;
    const states = new Mailbox<string>();
    const errors: Error[] = [];
    room.on("state", (state) => states.put(state));
    room.on("error", (error) => errors.push(error));
    await app.revoke({ user: "ann" });
    // A client that reconnects would be `connecting` first.
    expect(await states.have(1)).toEqual(["closed"]);
    expect(errors).toEqual([expect.objectContaining({ message: expect.stringContaining("revoked") })]);
    expect(app.status().totals.opened).toBe(1);
  });

  it("refuses a client of the user whose authorize had begun before, and accepts others", async () => {
    const asked = new Mailbox<() => void>();
    const authorize = () => new Promise<typeof anonymous>((resolve) => asked.put(() => resolve(anonymous)));
    const { app, open } = await startBank({ authorize });
    const opening = [open("/bank/a?user=ann"), open("/bank/a?user=bob")];
    const ann = expect(opening[0]).rejects.toMatchObject({ status: 401 });
    await asked.have(2);
    expect(app.status().handshakes).toBe(2);
    await app.revoke({ user: "ann" });
    for (const accept of asked.all) accept();
    await ann;
    expect(await isServed((await opening[1]) as TestClient)).toBe(true);
    expect(app.status().handshakes).toBe(0);
    const later = open("/bank/a?user=ann");
    (await asked.have(3))[2]?.();
    expect(await isServed(await later)).toBe(true);
  });

  it.each([true, false])("forgets the replies of the user's requests (connected: %s)", async (isConnected) => {
    const { app, open } = await startBank();
    const request = { type: "event", event: "pay", id: 7 };
    const protocols = ["enfilade.v1", `enfilade.secret.${"s".repeat(22)}`];
    const pay = async (user: string) => {
      const client = await open(`/bank/a?user=${user}&client=0123456789abcdef`, { protocols });
      await client.readJSON();
      client.sendJSON(request);
      return { client, reply: Number(Reflect.get(Object(await client.readJSON()), "data")) };
    };
    const [ann, bob] = [await pay("ann"), await pay("bob")];
    if (!isConnected) await Promise.all([ann.client.close(), bob.client.close()]);
    await until(() => isConnected || app.status().connections === 0);
    expect((await pay("ann")).reply).toBe(ann.reply);
    await app.revoke({ user: "ann" });
    await until(() => app.registry.user("ann").size === 0);
    expect((await pay("ann")).reply).toBeGreaterThan(bob.reply);
    expect((await pay("bob")).reply).toBe(bob.reply);
  });

  it.each(["reject", "local"] as const)(
    "closes here and rejects if other nodes cannot be reached (%s)",
    async (mode) => {
      const { redis } = await import("../../src/redis/index.js");
      const { app, open } = await startBank({ backplane: redis("redis://127.0.0.1:1"), backplaneOutage: mode });
      const [ann, bob, cy] = [await open("/bank/a?user=ann"), await open("/bank/a?user=bob"), await open("/bank/b")];
      const [connection] = app.registry.user("bob").members();
      const unreached = {
        code: "ERR_BACKPLANE",
        message: expect.stringMatching(/other nodes may not have been closed/),
      };
      await expect(app.revoke({ user: "ann" })).rejects.toMatchObject(unreached);
      expect(await ann.closed).toMatchObject(revoked);
      await expect(app.revoke({ connection: connection ?? "" })).rejects.toMatchObject(unreached);
      expect(await bob.closed).toMatchObject(revoked);
      await expect(app.revoke({ room: "/bank/b" })).rejects.toMatchObject(unreached);
      expect(await cy.closed).toMatchObject(revoked);
    },
  );

  it.each<[whose: unknown, code: string]>([
    [undefined, "ERR_OPTION"],
    [null, "ERR_OPTION"],
    ["ann", "ERR_OPTION"],
    [{}, "ERR_OPTION"],
    [[], "ERR_OPTION"],
    [{ users: "ann" }, "ERR_OPTION"],
    [{ user: undefined }, "ERR_OPTION"],
    [{ user: "ann", room: "/bank/a" }, "ERR_OPTION"],
    [{ connection: "ann" }, "ERR_OPTION"],
    [{ connection: 7 }, "ERR_OPTION"],
    [{ user: {} }, "ERR_USER"],
    [{ user: Number.NaN }, "ERR_USER"],
    [{ room: "bank" }, "ERR_PATH"],
    [{ room: {} }, "ERR_PATH"],
  ])("refuses %j with %s, and closes no connection", async (whose, code) => {
    const { app, open } = await startBank();
    const client = await open("/bank/a?user=ann");
    await expect(app.revoke(whose as Revocation)).rejects.toMatchObject({ code });
    expect(await isServed(client)).toBe(true);
  });

  it("is refused on a closed app", async () => {
    const { app } = await startBank();
    await app.close();
    await expect(app.revoke({ user: "ann" })).rejects.toMatchObject({ code: "ERR_APP_STATE" });
  });
});
