import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { missing } from "../support/parts.js";
import { startSite } from "./site.js";
import { Tabs } from "./tabs.js";

describe.skipIf(missing("chromium", "the pages of the example"))("the pages of the example", () => {
  const tabs = Tabs.ofFile(() => startSite({ stepMs: 1 }));
  const log = (page: Page) => page.getByRole("log");

  it("sends a private message to all pages of two people, and to no other", async () => {
    const { url } = await tabs.site();
    const { page: ann, who } = await tabs.visit("/messages", "Ann <i>A</i>");
    const annInChat = await tabs.openAs(url, "/c/private", who);
    const { page: bob } = await tabs.visit("/c/private", "Bob <i>B</i>");
    const { page: eve } = await tabs.visit("/messages", "Eve");
    await ann.getByRole("radio", { name: "Bob <i>B</i>" }).check();
    await ann.getByLabel("Message to Bob <i>B</i>").fill("only <b>you</b>");
    await ann.getByRole("button", { name: "Send" }).click();
    for (const page of [ann, annInChat, bob]) await log(page).getByText("only <b>you</b>", { exact: true }).waitFor();
    await eve.getByRole("radio", { name: "Bob <i>B</i>" }).check();
    await eve.getByLabel("Message to Bob <i>B</i>").fill("mine");
    await eve.getByRole("button", { name: "Send" }).click();
    await log(eve).getByText("mine").waitFor();
    expect(await eve.locator(".line .text").allTextContents()).toEqual(["mine"]);
    expect(await bob.locator(".line .text").allTextContents()).toEqual(["only <b>you</b>", "mine"]);
    // The list of people in a channel leads to the page, with the person chosen.
    await bob.getByRole("link", { name: "Ann <i>A</i>" }).click();
    await bob.getByLabel("Message to Ann <i>A</i>").waitFor();
  });

  it("shows changes of the to-do list on all pages", async () => {
    const { page: ann, who } = await tabs.visit("/todos", "Ann");
    const { page: bob } = await tabs.visit("/todos", "Bob");
    await ann.getByLabel("New to-do").fill("Buy <b>milk</b>");
    await ann.getByRole("button", { name: "Add" }).click();
    await bob.getByRole("checkbox", { name: "Buy <b>milk</b>" }).check();
    await ann.getByRole("checkbox", { name: "Buy <b>milk</b>", checked: true }).waitFor();
    const site = await tabs.site();
    expect((await site.call(who, "POST", "/todos", { title: "From a program" })).status).toBe(201);
    for (const page of [ann, bob]) await page.getByRole("checkbox", { name: "From a program" }).waitFor();
    // A page that comes later loads the list.
    const { page: cy } = await tabs.visit("/todos", "Cy");
    await cy.getByRole("button", { name: "Remove Buy <b>milk</b>" }).click();
    for (const page of [ann, bob]) await page.getByText("Buy <b>milk</b>").waitFor({ state: "detached" });
    expect(await ann.getByRole("checkbox").count()).toBe(1);
  });

  it("shows the cursors of the others on the board", async () => {
    const { page: ann } = await tabs.visit("/board", "Ann");
    const { page: bob } = await tabs.visit("/board", "Bob <i>B</i>");
    const list = ann.getByRole("list", { name: "" }).filter({ hasText: "Bob" });
    await list.getByText("Bob <i>B</i>").waitFor();
    const surface = bob.getByRole("application", { name: "Board" });
    const { width = 0, height = 0 } = (await surface.boundingBox()) ?? {};
    await surface.hover({ position: { x: width / 4, y: height / 2 } });
    await list.getByText(/^25 % from the left, 50 % from the top$/).waitFor();
    await surface.focus();
    for (const key of ["ArrowRight", "ArrowUp"]) await bob.keyboard.press(key);
    await list.getByText(/^30 % from the left, 45 % from the top$/).waitFor();
    await bob.close();
    await list.waitFor({ state: "detached" });
  });

  it("streams the output of a process to all pages, and to one that comes later", async () => {
    const { page: ann } = await tabs.visit("/output", "Ann <i>A</i>");
    const { page: bob } = await tabs.visit("/output", "Bob");
    await ann.getByRole("button", { name: "Start" }).click();
    const { page: cy } = await tabs.visit("/output", "Cy");
    for (const page of [ann, bob, cy]) {
      await page.getByText("Finished.").waitFor();
      const lines = (await log(page).textContent())?.trimEnd().split("\n") ?? [];
      expect(lines.length).toBe(21);
      expect(lines.at(0)).toBe("Step  1 of 20 ✓");
      expect(lines.at(-1)).toBe("Done.");
    }
  });

  it("closes all pages of a person who signs out", async () => {
    const { url } = await tabs.site();
    const { page: ann, who } = await tabs.visit("/c/signing-out", "Ann");
    const elsewhere = await tabs.openAs(url, "/todos", who);
    const { page: bob } = await tabs.visit("/c/signing-out", "Bob");
    await ann.getByRole("button", { name: "Sign out" }).click();
    await ann.getByLabel("Your name").waitFor();
    await elsewhere.waitForURL(/sign-in\?next=%2Ftodos$/);
    await bob.getByText("connected", { exact: true }).waitFor();
    await ann.goto(`${url}/todos`);
    await ann.waitForURL(/sign-in\?next=%2Ftodos$/);
  });
});
