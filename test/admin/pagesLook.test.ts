import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import type { ConnectionsPage } from "../../src/admin/api.js";
import { useBrowser } from "../support/browser.js";
import { cutOff } from "../support/layout.js";
import { missing } from "../support/parts.js";
import { forBrowsers, inTab } from "./pagesTab.js";
import { type AdminApp, startAdmin } from "./support.js";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const folder = fileURLToPath(new URL("../../test-results/admin/", import.meta.url));
mkdirSync(folder, { recursive: true });

/** Hidden from sight, but read by screen readers. */
const unseen = ["caption", "skip"];

/** Pages that show something in every column. */
async function startBusy(): Promise<{
  admin: AdminApp;
  views: [name: string, hash: string, ready: string | RegExp][];
}> {
  const admin = await startAdmin({ admin: forBrowsers });
  for (let number = 0; number < 12; number += 1) {
    const user =
      number % 4 === 0 ? "" : `?user=user-${number % 20}${number === 3 ? "-with-a-very-long-name".repeat(6) : ""}`;
    await admin.running.open(`/chat/room-${number % 5}${user}`);
  }
  const ann = await admin.running.open("/kept/a?user=ann");
  for (const text of ["hello", "long ".repeat(100), "x".repeat(400)]) {
    ann.sendText(text);
    await ann.readText();
  }
  const bob = await admin.running.open("/kept/a?user=bob");
  bob.sendText("fail");
  await bob.closed;
  await admin.running.open("/nowhere").catch(() => undefined);
  const { connections } = await admin.get<ConnectionsPage>("connections?user=ann");
  const { node = "", id = "" } = connections[0] ?? {};
  return {
    admin,
    views: [
      ["overview", "overview", "ready, memory up"],
      ["rooms", "rooms", /paths? on page 1/],
      ["tree", "rooms?under=/chat", /paths? on page 1/],
      ["room", "room?path=/kept/a", "1 member on page 1"],
      ["connections", "connections", /connections on page 1/],
      ["connection", `connection?${new URLSearchParams({ node, id })}`, "fast enough"],
      ["users", "users", /users on page 1/],
      ["tap", "tap", "The tap is stopped."],
      ["broadcast", "broadcast", "Send…"],
      ["departures", "departures", /entries on page 1/],
      ["errors", "errors", /1 error on page 1/],
    ],
  };
}

/** What axe-core finds, as lines. */
async function findingsOf(page: Page): Promise<string[]> {
  const { violations } = (await page.evaluate("axe.run()")) as {
    violations: { id: string; nodes: { html: string }[] }[];
  };
  return violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html.slice(0, 200)}`);
}

/** Defines `shiftsOf()`: the elements that moved after they were shown, since the start of the page. */
const watchShifts = `{
  const options = { type: "layout-shift", buffered: true };
  const shifts = [];
  const add = (entries) => {
    for (const { value, sources } of entries) {
      // A figure that is aligned to the right moves by a digit.
      if (value >= 0.001) shifts.push(value + " " + sources.map(({ node }) => node?.className || node?.nodeName));
    }
  };
  const observer = new PerformanceObserver((list) => add(list.getEntries()));
  observer.observe(options);
  globalThis.shiftsOf = async () => {
    for (let frames = 0; frames < 3; frames += 1) await new Promise(requestAnimationFrame);
    add(observer.takeRecords());
    return shifts;
  };
}`;

describe.skipIf(missing("chromium", "the look of the admin in a browser"))("the pages of the admin", () => {
  const browser = useBrowser();

  it.each([
    ["light", 1280],
    ["light", 390],
    ["dark", 1280],
    ["dark", 390],
  ] as const)(
    "have no finding of axe-core, cut nothing off and do not shift (%s, %i pixels)",
    async (colorScheme, width) => {
      const { admin, views } = await startBusy();
      const isDark = colorScheme === "dark";
      const use = async (page: Page) => {
        const visit = async (hash: string, ready: string | RegExp) => {
          await page.evaluate(`location.hash = ${JSON.stringify(`#/${hash}`)}`);
          await page.getByText(ready).first().waitFor();
        };
        // Before the screenshots, which change the height of the page.
        await page.evaluate(watchShifts);
        for (const [name, hash, ready] of views) {
          await visit(hash, ready);
          expect([name, await page.evaluate("shiftsOf()")]).toEqual([name, []]);
        }
        await page.evaluate(axe);
        for (const [name, hash, ready] of views) {
          await visit(hash, ready);
          await page.screenshot({ path: `${folder}${name}-${width}-${colorScheme}.png`, fullPage: true });
          // The colors do not depend on the width, nor does the layout depend on the colors.
          if (isDark && width < 1280) continue;
          expect([name, await findingsOf(page)]).toEqual([name, []]);
          if (isDark) continue;
          expect([name, (await cutOff(page)).filter((part) => !unseen.includes(part))]).toEqual([name, []]);
        }
      };
      await inTab(browser(), admin, "", use, { colorScheme, viewport: { width, height: 844 } });
    },
    60_000,
  );

  it("can be used with the keyboard alone", async () => {
    const { admin } = await startBusy();
    await inTab(browser(), admin, "#/users", async (page) => {
      const focused = () => page.evaluate<string>("document.activeElement.textContent");
      const press = async (key: string, times = 1) => {
        for (let count = 0; count < times; count += 1) await page.keyboard.press(key);
      };
      await page.getByText(/users on page 1/).waitFor();
      await press("Tab");
      expect(await focused()).toBe("Skip to the content");
      await press("Enter");
      expect(await page.evaluate("document.activeElement.id")).toBe("main");
      expect(page.url()).toMatch(/#\/users$/);

      // The search is the first control of the content; a button of each row follows.
      await press("Tab");
      await page.keyboard.type("ann");
      await page.getByText("1 user on page 1").waitFor();
      await press("Tab", 3);
      expect(await focused()).toBe("Disconnect everywhere…");
      expect(await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")).toBe("solid");
      await press("Enter");
      await page.getByRole("dialog").waitFor();
      expect(await page.evaluate("document.activeElement.closest('dialog') !== null")).toBe(true);
      for (let count = 0; count < 12; count += 1) {
        await press("Tab");
        // Past its last control the focus may leave the document, to the browser, but not reach the page behind.
        expect(await page.evaluate("document.activeElement.closest('dialog, body').localName")).not.toBe("main");
        expect(await page.evaluate("document.activeElement.closest('main > *:not(:has(dialog))') === null")).toBe(true);
      }
      await press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
      expect(await focused()).toBe("Disconnect everywhere…");
    });
  });

  it("move the focus to the heading of the next page, and name the page in the title", async () => {
    const { admin } = await startBusy();
    await inTab(browser(), admin, "", async (page) => {
      await page.getByRole("link", { name: "Rooms", exact: true }).click();
      await page.getByRole("heading", { name: "Rooms", exact: true }).waitFor();
      expect(await page.evaluate("document.activeElement.localName")).toBe("h1");
      expect(await page.title()).toBe("Rooms · Enfilade admin");
      expect(await page.getByRole("link", { name: "Rooms", exact: true }).getAttribute("aria-current")).toBe("page");
      await page.goBack();
      await page.getByRole("heading", { name: "Overview" }).waitFor();
    });
  });

  it("show a tap of 1,000 messages a second in a bounded list, and stay usable", async () => {
    const { admin } = await startBusy();
    const [talker, listener] = [await admin.running.open("/chat/busy"), await admin.running.open("/chat/busy")];
    await inTab(browser(), admin, "#/tap?room=/chat/busy", async (page) => {
      await page.getByRole("button", { name: "Start" }).click();
      await page.getByText("The tap is running.").waitFor();
      let sent = 0;
      // Ten messages in each hundredth of a second, until the page has done everything below.
      const timer = setInterval(() => {
        for (let count = 0; count < 10; count += 1) {
          sent += 1;
          talker.sendText(`message ${sent}`);
        }
      }, 10);
      try {
        const rows = page.getByRole("region", { name: "Entries" }).locator("tbody tr");
        await expect.poll(() => rows.count(), { timeout: 10_000 }).toBe(200);
        await page.getByLabel("Text", { exact: true }).fill("message 1");
        await page.getByText(/[23],\d\d\d entries came/).waitFor();
        expect(await rows.count()).toBeLessThanOrEqual(200);
        await page.getByRole("button", { name: "Pause" }).click();
        await page.getByText("The tap is paused.").waitFor();
      } finally {
        clearInterval(timer);
      }
      const total = sent;
      for (let number = 1; number <= total; number += 1) expect(await listener.readText()).toBe(`message ${number}`);
      await page.getByRole("link", { name: "Overview" }).click();
      await page.getByRole("heading", { name: "Overview" }).waitFor();
    });
  }, 60_000);
});
