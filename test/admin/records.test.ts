import { describe, expect, it } from "vitest";
import type { DeparturesPage, ErrorsPage } from "../../src/admin/api.js";
import { connect } from "../../src/testing/index.js";
import { closes } from "../support/app.js";
import { startAdmin } from "./support.js";

describe("the departures", () => {
  it("say why each client has gone, the newest first", async () => {
    const app = await startAdmin({ admin: { node: "one" } });
    const closed = closes(app.app, 3);
    const ann = await app.running.open("/chat/a?user=ann&token=secret");
    ann.close(4001, "bye");
    await ann.closed;
    const bob = await app.running.open("/chat/a?user=bob");
    app.app.registry.user("bob").close(4002, "enough");
    await bob.closed;
    const cleo = await app.running.open("/chat/a?user=cleo");
    cleo.terminate();
    await closed;
    await expect(app.running.open("/nowhere?token=secret")).rejects.toMatchObject({ status: 404 });
    const { departures, missing } = await app.get<DeparturesPage>("departures");
    expect(missing).toEqual([]);
    const common = { at: expect.any(Number), node: "one", address: "127.0.0.1" };
    const close = { ...common, kind: "close", id: expect.any(String), path: "/chat/a" };
    expect(departures).toEqual([
      { ...common, kind: "refusal", path: "/nowhere", code: 404, reason: "route", side: "server" },
      { ...close, user: "cleo", code: 1006, reason: "", side: "network" },
      { ...close, user: "bob", code: 4002, reason: "enough", side: "server" },
      { ...close, user: "ann", code: 4001, reason: "bye", side: "client" },
    ]);
    expect(JSON.stringify(departures)).not.toContain("secret");
  });

  it("are bounded, and listed in pages", async () => {
    const app = await startAdmin({ admin: { limits: { departuresMax: 5 } } });
    for (let number = 0; number < 8; number += 1) {
      await expect(connect(app.app, `/nowhere/${number}`)).rejects.toMatchObject({ status: 404 });
    }
    const first = await app.get<DeparturesPage>("departures?limit=3");
    const second = await app.get<DeparturesPage>(`departures?limit=3&after=${first.next}`);
    const paths = [...first.departures, ...second.departures].map(({ path }) => path);
    expect(paths).toEqual(["/nowhere/7", "/nowhere/6", "/nowhere/5", "/nowhere/4", "/nowhere/3"]);
    expect(second.next).toBeUndefined();
  });
});

it("the errors have the route, the connection and the stack", async () => {
  const app = await startAdmin({ admin: { node: "one", limits: { errorsMax: 2 } } });
  for (const user of ["ann", "bob", "cleo"]) {
    const client = await connect(app.app, `/chat/a?user=${user}`);
    client.sendText("fail");
    await client.closed;
  }
  const { errors } = await app.get<ErrorsPage>("errors");
  expect(errors.map(({ user }) => user)).toEqual(["cleo", "bob"]);
  expect(errors[0]).toEqual({
    at: expect.any(Number),
    node: "one",
    route: "/chat/:room",
    connection: expect.any(String),
    path: "/chat/a",
    user: "cleo",
    message: "the handler failed",
    stack: expect.stringContaining("support.ts"),
  });
});
