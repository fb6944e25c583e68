import { readFile } from "node:fs/promises";
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { connect } from "../../src/testing/index.js";
import { Mailbox } from "../support/app.js";
import { useBrowser } from "../support/browser.js";
import { missing } from "../support/parts.js";
import { columnOf, forBrowsers, inTab } from "./pagesTab.js";
import { type AdminApp, startAdmin } from "./support.js";

const start = () => startAdmin({ admin: forBrowsers });

/** Confirms the open dialog with the button of this name, and waits until the page says that it was done. */
async function confirm(page: Page, button: string, done: string | RegExp): Promise<void> {
  await page.getByRole("dialog").getByRole("button", { name: button, exact: true }).click();
  await page.locator(".announcer").getByText(done).waitFor();
  expect(await page.getByRole("dialog").count()).toBe(0);
}

async function fill(page: Page, fields: Readonly<Record<string, string>>): Promise<void> {
  for (const [label, value] of Object.entries(fields)) await page.getByLabel(label, { exact: true }).fill(value);
}

describe.skipIf(missing("chromium", "the pages of the admin in a browser"))("the pages of the admin", () => {
  const browser = useBrowser();
  const open = (admin: AdminApp, hash: string, use: (page: Page) => Promise<void>, refusals?: RegExp) =>
    inTab(browser(), admin, hash, use, refusals && { refusals });

  it("show the figures of the node as they change", async () => {
    const admin = await start();
    const tile = (page: Page, name: string, value: string) =>
      page.locator(".tiles div", { hasText: name }).getByText(value, { exact: true }).waitFor();
    await open(admin, "", async (page) => {
      await page.getByRole("cell", { name: "ready, memory up" }).waitFor();
      // One connection is that of this page.
      await tile(page, "Connections", "1");
      const clients = await Promise.all(["ann", "bob"].map((user) => admin.running.open(`/chat/a?user=${user}`)));
      await tile(page, "Connections", "3");
      await tile(page, "Users", "2");
      await clients[0]?.close();
      await tile(page, "Connections", "2");
      const charts = page.getByRole("img", { name: /in the last five minutes/ });
      expect(await charts.count()).toBe(4);
      await page.getByRole("img", { name: "Connections in the last five minutes. Now: all nodes 2" }).waitFor();
    });
  });

  it("show the tree of rooms, and search it", async () => {
    const admin = await start();
    for (const room of ["/chat/a", "/chat/a", "/chat/b", "/kept/c"]) await admin.running.open(room);
    await open(admin, "#/rooms", async (page) => {
      await page.getByRole("link", { name: "2 rooms, 3 members below /chat" }).click();
      await page.getByRole("link", { name: "/chat/b", exact: true }).waitFor();
      expect(await columnOf(page, "Rooms", 1)).toEqual(["/chat/a", "/chat/b"]);
      expect(await columnOf(page, "Rooms", 2)).toEqual(["2", "1"]);
      await page.getByRole("navigation", { name: "Levels" }).getByRole("link", { name: "All rooms" }).click();
      await page.getByLabel("Search the paths of all rooms").fill("/c");
      await page.getByRole("link", { name: "/kept/c", exact: true }).click();
      await page.getByRole("heading", { name: "Room /kept/c" }).waitFor();
    });
  });

  it("show a room, publish to it, and remove a member", async () => {
    const admin = await start();
    const ann = await admin.running.open("/kept/a?user=ann");
    const bob = await admin.running.open("/kept/a?user=bob");
    ann.sendText("hello");
    expect(await bob.readText()).toBe("hello");
    await open(admin, "#/room?path=/kept/a", async (page) => {
      await page.getByText("2 users: ann, bob").waitFor();
      await page
        .getByRole("table", { name: /The last 1 publication/ })
        .getByText("hello")
        .waitFor();
      expect((await columnOf(page, "Members of /kept/a", 2)).sort()).toEqual(["ann", "bob"]);

      await page.getByLabel("Message", { exact: true }).fill('{"text": "soon down"}');
      await page.getByRole("button", { name: "Send", exact: true }).click();
      await page.locator(".announcer").getByText("Sent to the room /kept/a.").waitFor();
      expect(await bob.readJSON()).toEqual({ type: "system", from: "olga", data: { text: "soon down" } });

      await page.getByRole("button", { name: /^Remove: bob/ }).click();
      await fill(page, { Reason: "off topic" });
      await confirm(page, "Remove", /^Removed from the room: bob/);
      await page.getByText("1 member on page 1").waitFor();
      expect(await columnOf(page, "Members of /kept/a", 2)).toEqual(["ann"]);
    });
  });

  it("refuse data that is not JSON before anything is sent, and show the refusal of the server", async () => {
    const admin = await start();
    await open(
      admin,
      "#/broadcast",
      async (page) => {
        await fill(page, { Path: "/chat/a", Message: "{" });
        await page.getByRole("button", { name: "Send…" }).click();
        await page.getByRole("alert").getByText("This is not JSON.").waitFor();
        expect(await page.getByRole("dialog").count()).toBe(0);
        await fill(page, { Path: "no path", Message: "1" });
        await page.getByRole("button", { name: "Send…" }).click();
        await page.getByRole("dialog").locator(".problem").first().waitFor();
        await page.keyboard.press("Escape");
        await page.getByRole("dialog").waitFor({ state: "detached" });
      },
      /400 \(Bad Request\)/,
    );
  });

  it("list and search 10,000 connections page by page", async () => {
    const admin = await start();
    const rooms = Array.from({ length: 10_000 }, (_, n) => `/chat/room-${n % 100}?user=user-${n}`);
    for (const path of rooms) await connect(admin.app, path);
    // Without the connection of the page itself, which may open after the first answer.
    await open(admin, "#/connections?path=/chat", async (page) => {
      await page.getByText("50 connections on page 1").waitFor();
      const first = await columnOf(page, "Connections", 2);
      await page.getByRole("button", { name: "Next page" }).click();
      await page.getByText("50 connections on page 2").waitFor();
      const second = await columnOf(page, "Connections", 2);
      expect(new Set([...first, ...second]).size).toBe(100);
      await page.getByRole("button", { name: "Previous page" }).click();
      await page.getByText("50 connections on page 1").waitFor();
      expect(await columnOf(page, "Connections", 2)).toEqual(first);

      await fill(page, { User: "user-7777" });
      await page.getByText("1 connection on page 1").waitFor();
      expect(await columnOf(page, "Connections", 3)).toEqual(["/chat/room-77"]);
      await fill(page, { User: "", Path: "/chat/room-42", "Search everything": "user-42" });
      // user-42 and user-4242 are in this room, and user-4200 is in another one.
      await page.getByText("2 connections on page 1").waitFor();
      expect((await columnOf(page, "Connections", 2)).toSorted()).toEqual(["user-42", "user-4242"]);
      expect(new Set(await columnOf(page, "Connections", 3))).toEqual(new Set(["/chat/room-42"]));
      expect(page.url()).toContain("path=%2Fchat%2Froom-42");
      await fill(page, { "Search everything": "nothing like it" });
      await page.getByText("No connection matches.").waitFor();
    });
  });

  it("name a page of a list only when its rows are shown, and skip none when Next is pressed twice", async () => {
    const admin = await start();
    for (let n = 0; n < 120; n += 1) await connect(admin.app, `/chat/a?user=user-${n}`);
    await open(admin, "#/connections?path=/chat", async (page) => {
      await page.getByText("50 connections on page 1").waitFor();
      const held = new Mailbox<() => Promise<void>>();
      await page.route(/api\/connections\?.*after=/, (route) => held.put(() => route.continue()));
      const next = page.getByRole("button", { name: "Next page" });
      await next.click();
      await next.click();
      const [release] = await held.have(1);
      expect(await page.getByRole("status").allTextContents()).toContain("Loading…");
      await release?.();
      await page.getByText("50 connections on page 2").waitFor();
      expect(held.all).toHaveLength(1);
      await page.unroute(/api\/connections\?.*after=/);
      await next.click();
      await page.getByText("20 connections on page 3").waitFor();
    });
  });

  it("show one connection, send to it, and close it with a code", async () => {
    const admin = await start();
    const ann = await admin.running.open("/chat/a?user=ann");
    await admin.running.open("/chat/a?user=bob");
    ann.sendText("twelve bytes");
    await ann.readText();
    await open(admin, "#/connections?user=ann", async (page) => {
      await page.getByRole("table", { name: "Connections" }).getByRole("rowheader").getByRole("link").click();
      await page.getByRole("heading", { name: /^Connection / }).waitFor();
      const fact = (name: string) => page.locator(".facts div", { hasText: name }).locator("dd").textContent();
      expect(await fact("User")).toBe("ann");
      expect(await fact("Messages from the client")).toBe("1");
      await page.getByRole("listitem").getByRole("link", { name: "/chat/a" }).waitFor();

      await page.getByLabel("Send as").selectOption("text");
      await page.getByLabel("Message", { exact: true }).fill("only to you");
      await page.getByRole("button", { name: "Send", exact: true }).click();
      await page
        .locator(".announcer")
        .getByText(/^Sent to ann/)
        .waitFor();
      expect(await ann.readText()).toBe("only to you");

      await page.getByRole("button", { name: /^Disconnect: ann/ }).click();
      await fill(page, { Code: "4003", Reason: "read the rules" });
      await confirm(page, "Disconnect", /^Disconnected: ann/);
      expect(await ann.closed).toMatchObject({ code: 4003, reason: "read the rules" });
      await page.getByText("No connection matches.").or(page.getByText("connections on page 1")).first().waitFor();
    });
    expect(admin.app.status()).toMatchObject({ users: 1 });
  });

  it("ask one client to reconnect, and keep the dialog open when the server refuses", async () => {
    const admin = await start();
    const ann = await admin.running.open("/chat/a?user=ann");
    await open(
      admin,
      "#/connections?user=ann",
      async (page) => {
        await page.getByRole("button", { name: /^Disconnect: ann/ }).click();
        await fill(page, { Code: "1006" });
        await page.getByRole("dialog").getByRole("button", { name: "Disconnect" }).click();
        await page.getByRole("dialog").getByRole("alert").getByText(/1000/).waitFor();
        await page
          .getByRole("dialog")
          .getByLabel(/^Ask the client to reconnect/)
          .check();
        await confirm(page, "Disconnect", /^Disconnected: ann/);
        expect(await ann.closed).toMatchObject({ code: 1012 });
      },
      /400 \(Bad Request\)/,
    );
  });

  it("disconnect a user everywhere and for good, after a dialog that says how many connections", async () => {
    const admin = await start();
    const clients = await Promise.all(
      ["/chat/a", "/chat/b", "/kept/c"].map((path) => admin.running.open(`${path}?user=ann`)),
    );
    const bob = await admin.running.open("/chat/a?user=bob");
    await open(admin, "#/users", async (page) => {
      await fill(page, { "Search the ids of users": "an" });
      await page.getByText("1 user on page 1").waitFor();
      expect(await columnOf(page, "Users", 2)).toEqual(["3"]);
      await page.getByRole("button", { name: "Disconnect everywhere: all connections of ann" }).click();
      await page.getByRole("dialog").getByText("It reaches 3 connections.").waitFor();
      await page
        .getByRole("dialog")
        .getByLabel(/^Close for good/)
        .check();
      await confirm(page, "Disconnect", "Disconnected: all connections of ann.");
      for (const client of clients) expect(await client.closed).toMatchObject({ code: 4501 });
      await page.getByText("No user matches.").waitFor();
    });
    bob.sendText("still here");
    expect(await bob.readText()).toBe("still here");
  });

  it("broadcast to each kind of target, after a dialog that says how many it reaches", async () => {
    const admin = await start();
    const paths = ["/chat/a?user=ann", "/chat/a?user=bob", "/chat/b?user=cy", "/kept/c?user=ann"];
    const clients = await Promise.all(paths.map((path) => admin.running.open(path)));
    // Which of the clients get it, and how many connections the dialog names: that of the page is one of all.
    const targets: { kind: string; fields: Record<string, string>; name: string; reached: number[]; count: number }[] =
      [
        { kind: "room", fields: { Path: "/chat/a" }, name: "the room /chat/a", reached: [0, 1], count: 2 },
        { kind: "tree", fields: { Path: "/chat" }, name: "the room /chat and all rooms", reached: [0, 1, 2], count: 3 },
        { kind: "channel", fields: {}, name: "the channel chat", reached: [0, 1, 2], count: 3 },
        { kind: "user", fields: { "Id of the user": "ann" }, name: "the user ann", reached: [0, 3], count: 2 },
        { kind: "all", fields: {}, name: "all connections", reached: [0, 1, 2, 3], count: 5 },
      ];
    await open(admin, "#/broadcast", async (page) => {
      for (const { kind, fields, name, count } of targets) {
        await page.getByLabel("To", { exact: true }).selectOption(kind);
        await fill(page, { ...fields, Message: `"to the ${kind}"` });
        await page.getByRole("button", { name: "Send…" }).click();
        await page.getByText(`It reaches ${count} connections.`).waitFor();
        await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
        await page.getByRole("dialog").waitFor({ state: "detached" });
        await page.getByRole("button", { name: "Send…" }).click();
        await confirm(page, "Send", new RegExp(`^Sent to ${name}`));
      }
    });
    for (const [index, client] of clients.entries()) {
      for (const { kind } of targets.filter(({ reached }) => reached.includes(index))) {
        expect(await client.readJSON()).toEqual({ type: "system", from: "olga", data: `to the ${kind}` });
      }
      client.sendText(`the end of ${index}`);
    }
    // Nothing was sent twice, and nothing to the others.
    expect(await clients[3]?.readText()).toBe("the end of 3");
    expect((await Promise.all([clients[0]?.readText(), clients[0]?.readText()])).sort()).toEqual([
      "the end of 0",
      "the end of 1",
    ]);
  });

  it("tap messages by a filter, pause, resume, and save them as JSON lines", async () => {
    const admin = await start();
    const [ann, bob] = [await admin.running.open("/chat/a?user=ann"), await admin.running.open("/chat/b?user=bob")];
    await open(admin, "#/tap", async (page) => {
      const entry = (text: string) => page.getByRole("region", { name: "Entries" }).getByText(text, { exact: true });
      await fill(page, { Room: "/chat/**", User: "ann" });
      for (const label of ["To clients", "Publications"]) await page.getByLabel(label, { exact: true }).uncheck();
      await page.getByRole("button", { name: "Start" }).click();
      await page.getByText("The tap is running.").waitFor();
      await untilTapped(page, () => ann.sendText("ready?"), "ready?");
      bob.sendText("of bob");
      ann.sendText("first");
      await entry("first").waitFor();
      expect(await entry("of bob").count()).toBe(0);

      await page.getByRole("button", { name: "Pause" }).click();
      await page.getByText("The tap is paused.").waitFor();
      await echo(ann, "unseen");
      await page.getByRole("button", { name: "Resume" }).click();
      await untilTapped(page, () => ann.sendText("again?"), "again?");
      await page.getByRole("button", { name: "Pause" }).click();
      const [download] = await Promise.all([
        page.waitForEvent("download"),
        page.getByRole("button", { name: "Save as JSON lines" }).click(),
      ]);
      expect(download.suggestedFilename()).toMatch(/^tap-.*\.jsonl$/);
      const lines = (await readFile(await download.path(), "utf8")).trimEnd().split("\n");
      const saved = lines.map((line) => JSON.parse(line));
      expect(saved.filter(({ text }) => text === "first")).toEqual([
        expect.objectContaining({ direction: "in", user: "ann", path: "/chat/a", kind: "text" }),
      ]);
      expect(saved.map(({ text }) => text)).not.toContain("unseen");
      await page.getByRole("button", { name: "Clear" }).click();
      await page.getByText("0 entries came: 0 kept, 0 missed.").waitFor();
    });
  });

  it("name the nodes that did not answer", async () => {
    const admin = await start();
    await open(admin, "", async (page) => {
      await page.route(/api\/users/, (route) => route.fulfill({ json: { users: [], missing: ["node-b", "node-c"] } }));
      await page.getByRole("link", { name: "Users" }).click();
      await page.getByText(/^2 nodes did not answer in time.*node-b, node-c$/).waitFor();
    });
  });

  it("say why clients went, and show errors with their stacks", async () => {
    const admin = await start();
    const ann = await admin.running.open("/chat/a?user=ann");
    ann.sendText("fail");
    await ann.closed;
    await (await admin.running.open("/chat/b?user=bob")).close(4123, "enough");
    await admin.running.open("/nowhere").catch(() => undefined);
    await open(admin, "#/departures", async (page) => {
      const row = (text: string) => page.getByRole("row", { name: text });
      await row("ann").getByText("The handler threw an error; see the errors.").waitFor();
      await row("bob").getByText("4123").waitFor();
      await row("bob").getByText("enough").waitFor();
      await row("/nowhere").getByText("HTTP 404").waitFor();
      await page.getByRole("link", { name: "Errors" }).click();
      await page.getByText("the handler failed", { exact: true }).click();
      await page.getByText(/at Chat\.onMessage/).waitFor();
    });
  });

  it("say that the session has ended, and continue after a new one", async () => {
    let isSignedIn = true;
    const admin = await startAdmin({
      admin: { authorize: (request) => isSignedIn && (forBrowsers.authorize?.(request) ?? false) },
    });
    const ann = await admin.running.open("/chat/a?user=ann");
    await open(
      admin,
      "",
      async (page) => {
        isSignedIn = false;
        await page.getByRole("link", { name: "Users" }).click();
        await page.getByRole("alert").getByText("Unauthorized").waitFor();
        isSignedIn = true;
        await page.getByRole("button", { name: "Try again" }).click();
        await page.getByText("1 user on page 1").waitFor();
      },
      /401 \(Unauthorized\)/,
    );
    await ann.close();
  });
});

/** Sends until the tap shows it, since a tap starts a moment after its button. */
async function untilTapped(page: Page, send: () => void, text: string): Promise<void> {
  await expect
    .poll(
      () => {
        send();
        return page.getByRole("region", { name: "Entries" }).getByText(text, { exact: true }).count();
      },
      { timeout: 10_000 },
    )
    .toBeGreaterThan(0);
}

/** Sends a text and waits for its copy. */
async function echo(client: Awaited<ReturnType<typeof connect>>, text: string): Promise<void> {
  client.sendText(text);
  while ((await client.readText()) !== text);
}
