import { describe, expect, it } from "vitest";
import type { SessionInfo } from "../../src/admin/api.js";
import { useBrowser } from "../support/browser.js";
import { startEngine } from "../support/engines.js";
import { missing } from "../support/parts.js";
import { columnOf, forBrowsers, inTab } from "./pagesTab.js";
import { startAdmin } from "./support.js";

const isImpossible =
  missing("chromium", "the admin of many nodes in a browser") ||
  missing("redis", "the admin of many nodes in a browser");

describe.skipIf(isImpossible)("the pages of the admin of one node", () => {
  const browser = useBrowser();

  it("list, tap, message and close a client of another node", async () => {
    const engine = await startEngine("redis");
    const nodes = () => startAdmin({ admin: forBrowsers, app: { backplane: engine.backplane() } });
    const [near, far] = [await nodes(), await nodes()];
    const { node: farNode } = await far.get<SessionInfo>("session");
    const ann = await far.running.open("/chat/a?user=ann");
    await near.running.open("/chat/a?user=bob");
    await inTab(browser(), near, "", async (page) => {
      await page.getByRole("row", { name: farNode }).waitFor();
      expect((await columnOf(page, "Nodes", 3)).length).toBe(2);
      await page.getByRole("link", { name: "Connections", exact: true }).click();
      await page.getByLabel("User", { exact: true }).fill("ann");
      await page.getByText("1 connection on page 1").waitFor();
      expect(await columnOf(page, "Connections", 5)).toEqual([farNode]);

      await page.getByRole("rowheader").getByRole("link").click();
      await page.getByLabel("Message").fill('"hello from the other node"');
      await page.getByRole("button", { name: "Send", exact: true }).click();
      expect(await ann.readJSON()).toEqual({ type: "system", from: "olga", data: "hello from the other node" });

      await page.getByRole("link", { name: "Tap its messages" }).click();
      await page.getByRole("button", { name: "Start" }).click();
      const entries = page.getByRole("region", { name: "Entries" });
      const shown = () => {
        ann.sendText("over there");
        return entries.getByText("over there", { exact: true }).count();
      };
      await expect.poll(shown, { timeout: 10_000 }).toBeGreaterThan(0);

      await page.getByRole("link", { name: "Users" }).click();
      await page.getByRole("button", { name: "Disconnect everywhere: all connections of ann" }).click();
      await page.getByText("It reaches 1 connection.").waitFor();
      await page.getByLabel("Reason").fill("enough");
      await page.getByRole("dialog").getByRole("button", { name: "Disconnect" }).click();
      expect(await ann.closed).toMatchObject({ code: 1000, reason: "enough" });

      await page.getByRole("link", { name: "Departures" }).click();
      await page.getByRole("row", { name: "ann" }).getByText(farNode).waitFor();
    });
  });
});
