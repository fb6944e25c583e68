import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import express from "express";
import { expect, it, onTestFinished } from "vitest";
import type { SessionInfo } from "../../src/admin/api.js";
import { Assets } from "../../src/admin/http/assets.js";
import { admin } from "../../src/admin/index.js";
import { App } from "../../src/index.js";
import { start } from "../support/app.js";
import { AdminApp, Chat, normal, startAdmin, token } from "./support.js";

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "enfilade-assets-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

it("serves files of known types with an ETag, and answers 304 to it", async () => {
  const folder = newFolder();
  writeFileSync(join(folder, "app.js"), "run()");
  writeFileSync(join(folder, "secret.env"), "x");
  const assets = new Assets(folder);
  const file = await assets.answer("app.js", undefined);
  expect([file.status, file.headers.get("content-type"), await file.text()]).toEqual([
    200,
    "text/javascript; charset=utf-8",
    "run()",
  ]);
  expect(file.headers.get("content-security-policy")).toContain("default-src 'none'");
  const etag = file.headers.get("etag") ?? "";
  expect((await assets.answer("app.js", `"other", ${etag}`)).status).toBe(304);
  expect((await assets.answer("app.js", '"other"')).status).toBe(200);
  for (const name of ["secret.env", "../app.js", "none.js", "", "constructor"]) {
    await expect(assets.answer(name, undefined)).rejects.toMatchObject({ status: 404 });
  }
});

it("answers 503 until the pages are built", async () => {
  const folder = newFolder();
  const assets = new Assets(join(folder, "assets"));
  await expect(assets.answer("index.html", undefined)).rejects.toMatchObject({ status: 503 });
});

it("has its page at the path with a slash at its end", async () => {
  const app = await startAdmin();
  const moved = await app.fetch("", { redirect: "manual" });
  expect([moved.status, moved.headers.get("location")]).toEqual([308, "/admin/"]);
  expect((await app.fetch("/rooms")).status).toBe(404);
  expect((await app.fetch("/..%2f..%2fpackage.json")).status).toBe(400);
  expect((await app.fetch("/assets/%2e%2e/%2e%2e/package.json")).status).not.toBe(200);
});

it("says which order is right if middleware of Express has read the body of a call", async () => {
  const app = new App().use(admin(normal));
  const server = express().use(express.json(), app.requestListener).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  onTestFinished(async () => {
    await app.close();
    server.close();
  });
  // The server listens on a port, so its address is an object.
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const headers = { authorization: `Bearer ${token}`, origin, "content-type": "application/json" };
  const session = await fetch(`${origin}/admin/api/session`, { headers });
  // The API has this type for the call.
  const { csrf } = (await session.json()) as SessionInfo;
  const call = { method: "POST", body: '{"to":"all"}', headers: { ...headers, "x-enfilade-csrf": csrf } };
  const answer = await fetch(`${origin}/admin/api/count`, call);
  expect([answer.status, await answer.text()]).toEqual([500, expect.stringContaining("such as express.json()")]);
});

it("works at the root of an app, and in Express", async () => {
  const root = new AdminApp(await start(new App().route("/chat/:room", Chat).use(admin({ ...normal, path: "/" }))));
  const session = await fetch(`${root.origin}/api/session`, { headers: { authorization: `Bearer ${token}` } });
  // The API has this type for the call.
  expect(((await session.json()) as SessionInfo).path).toBe("");
  await expect(root.running.open("/live")).rejects.toMatchObject({ status: 401 });

  const app = new App().use(admin(normal));
  const server = express().use(app.requestListener).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  app.attach(server);
  onTestFinished(async () => {
    await app.close();
    server.close();
  });
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  const headers = { authorization: `Bearer ${token}` };
  expect((await fetch(`http://127.0.0.1:${port}/admin/api/overview`, { headers })).status).toBe(200);
  expect((await fetch(`http://127.0.0.1:${port}/admin/api/overview`)).status).toBe(401);
});
