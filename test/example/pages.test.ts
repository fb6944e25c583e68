import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { cutOff } from "../support/layout.js";
import { missing } from "../support/parts.js";
import { startSite } from "./site.js";
import { connected, Tabs } from "./tabs.js";

const results = fileURLToPath(new URL("../../test-results/example/", import.meta.url));
const longWord = "w".repeat(400);
const longName = "W".repeat(32);

describe.skipIf(missing("chromium", "the look of the example"))("each page of the example", () => {
  const tabs = Tabs.ofFile(() => startSite({ stepMs: 1 }));
  mkdirSync(results, { recursive: true });

  /** What axe finds on a page, with the elements. */
  async function violations(page: Page): Promise<unknown[]> {
    await page.evaluate(axe.source);
    return page.evaluate(`axe.run().then(({ violations }) =>
      violations.map(({ id, nodes }) => [id, ...nodes.map(({ target }) => target.join(" "))]))`);
  }

  /** Looks at a page on a computer and on a phone, light and dark. */
  async function inspect(page: Page, name: string): Promise<void> {
    for (const [width, height] of [
      [1280, 800],
      [390, 844],
    ] as const) {
      await page.setViewportSize({ width, height });
      expect(await cutOff(page), `${name}, ${width} pixels wide`).toEqual([]);
      for (const colorScheme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme });
        expect(await violations(page), `${name}, ${colorScheme}, ${width} pixels wide`).toEqual([]);
        await page.screenshot({ path: `${results}${name}-${width}-${colorScheme}.png` });
      }
    }
    await page.setViewportSize({ width: 320, height: 568 });
    expect(await cutOff(page), `${name}, 320 pixels wide`).toEqual([]);
  }

  const press = async (page: Page, ...keys: string[]) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  const focused = (page: Page, role: "link" | "button" | "textbox" | "radio" | "checkbox", name: string | RegExp) =>
    page.getByRole(role, { name }).and(page.locator(":focus"));

  it("is easy to see and complete: the sign-in", async () => {
    const { url } = await tabs.site();
    const page = await tabs.open(`${url}/sign-in`);
    await page.getByLabel("Your name").fill(longWord);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("A name has 1 to 32 characters.").waitFor();
    await inspect(page, "sign-in");
  });

  it("is easy to see and complete: the sign-in at a provider", async () => {
    const provider = { issuer: "https://id.example", clientId: "example", clientSecret: "secret" };
    const site = await startSite({ provider });
    const page = await tabs.open(`${site.url}/sign-in?failed`);
    await page.getByText("The sign-in did not succeed.").waitFor();
    await inspect(page, "sign-in-provider");
    await site.stop();
  });

  it("is easy to see and complete: the channels", async () => {
    const { url } = await tabs.site();
    await tabs.visit(`/c/${"w".repeat(32)}`, "Bob");
    const { page } = await tabs.visit("/", longName);
    await page.getByRole("link", { name: longName.toLowerCase() }).waitFor();
    await page.goto(`${url}/c/${longWord}`);
    await page.getByText("A channel's name has 1 to 32 characters.").waitFor();
    await inspect(page, "channels");
  });

  it("is easy to see and complete: a channel", async () => {
    const site = await tabs.site();
    const bob = await site.connect("/chat/general", site.visitor("Bob"));
    const eve = await site.connect("/chat/general", site.visitor(longName));
    bob.sendJSON({ text: "Has anyone seen the plan for Monday?\nI cannot find it." });
    eve.sendJSON({ text: `https://example.com/${longWord}` });
    const { page } = await tabs.visit("/c/general", "Ann");
    await page.getByLabel("Message", { exact: true }).fill("It is on the board.");
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByText("It is on the board.").waitFor();
    await page.getByLabel("Message", { exact: true }).fill("y".repeat(2001));
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByText("A message has at most 2000 characters.").waitFor();
    await page.getByLabel("Message", { exact: true }).fill("Who brings the coffee?");
    eve.sendJSON({ typing: true });
    await page.getByText("is typing…").waitFor();
    await inspect(page, "chat");
  });

  it("is easy to see and complete: private messages", async () => {
    const widest = "M".repeat(32);
    const { page: bob } = await tabs.visit("/messages", "Robin");
    const { page } = await tabs.visit("/messages", widest);
    await page.getByRole("radio", { name: "Robin" }).check();
    await page.getByLabel("Message to Robin").fill(longWord);
    await page.getByRole("button", { name: "Send" }).click();
    await bob.getByRole("radio", { name: widest }).check();
    await bob.getByLabel(`Message to ${widest}`).fill("Thank you!");
    await bob.getByRole("button", { name: "Send" }).click();
    await page.getByText("Thank you!").waitFor();
    await inspect(page, "messages");
  });

  it("is easy to see and complete: the to-do list", async () => {
    const { page, who } = await tabs.visit("/todos", "Ann");
    await page.getByText("There is nothing to do.").waitFor();
    const site = await tabs.site();
    for (const title of ["Water the plants", "Order new chairs", "w".repeat(100)]) {
      await site.call(who, "POST", "/todos", { title });
    }
    await page.getByRole("checkbox", { name: "Water the plants" }).check();
    await page.getByRole("button", { name: "Add" }).click();
    await page.getByText("Write what is to be done.").waitFor();
    await inspect(page, "todos");
  });

  it("is easy to see and complete: the board", async () => {
    const { page: bob } = await tabs.visit("/board", "Bob");
    const { page: eve } = await tabs.visit("/board", longName);
    const { page } = await tabs.visit("/board", "Ann");
    // A page sends its position with the next frame of the screen, and only a page in front has frames.
    await bob.bringToFront();
    await bob.getByRole("application").hover({ position: { x: 60, y: 40 } });
    await page.locator(".cursor", { hasText: "Bob" }).waitFor();
    await eve.bringToFront();
    const { width = 0, height = 0 } = (await eve.getByRole("application").boundingBox()) ?? {};
    await eve.getByRole("application").hover({ position: { x: width - 3, y: height / 2 } });
    await page.getByText(/^100 % from the left, 50 % from the top$/).waitFor();
    await inspect(page, "board");
  });

  it("is easy to see and complete: the output", async () => {
    const { page } = await tabs.visit("/output", longName);
    await page.getByRole("button", { name: "Start" }).click();
    await page.getByText("Finished.").waitFor();
    await inspect(page, "output");
  });

  it("is easy to see and complete: the API", async () => {
    const { page } = await tabs.visit("/asyncapi", longName);
    const people = page.getByRole("region", { name: "/people" });
    await people.getByRole("heading", { name: "private to clients" }).waitFor();
    await people.getByText("{ to: string of 1 to 100 characters, text: string of", { exact: false }).waitFor();
    await people.getByText("{ at: string (date-time) }", { exact: true }).waitFor();
    await page.getByRole("region", { name: "/boards/{board}" }).getByText("This room has no contract.").waitFor();
    await page.getByLabel("JSON Schema of write").focus();
    await press(page, "Enter");
    await people.getByText('"const": "write"').waitFor();
    await inspect(page, "api");
  });

  it("says so if the document of the API cannot be loaded", async () => {
    const site = await tabs.site();
    const page = await tabs.openAs(site.url, "/", site.visitor("Ann"), { isNoisy: true });
    await page.route("**/asyncapi.json", (route) => route.fulfill({ status: 503, body: "no" }));
    await page.getByRole("link", { name: "API", exact: true }).click();
    await page.getByRole("alert").getByText("The document cannot be loaded: HTTP 503").waitFor();
  });

  it("can be used by keyboard alone", async () => {
    const { url } = await tabs.site();
    const { page: bob } = await tabs.visit("/messages", "Kim");
    const page = await tabs.open(url);
    await page.getByRole("textbox", { name: "Your name" }).and(page.locator(":focus")).waitFor();
    await page.keyboard.type("Keyboard");
    await press(page, "Enter");
    await page.getByRole("link", { name: "# help" }).waitFor();

    await press(page, "Tab");
    await focused(page, "link", "Skip to the content").waitFor();
    await press(page, "Enter", "Tab");
    await focused(page, "link", "# general").waitFor();
    await press(page, "Tab", "Enter");
    await page.getByRole("heading", { name: "# random" }).waitFor();
    await focused(page, "textbox", "Message").waitFor();
    await connected(page).waitFor();
    await page.keyboard.type("without a mouse");
    await press(page, "Shift+Enter");
    await page.keyboard.type("at all");
    await press(page, "Enter");
    await page.getByRole("log").getByText("without a mouse\nat all").waitFor();

    await goByKeys(page, "To-dos");
    await skipTo(page, "textbox", "New to-do");
    await page.keyboard.type("Try the keys");
    await press(page, "Enter");
    await page.getByRole("checkbox", { name: "Try the keys" }).waitFor();
    await skipTo(page, "checkbox", "Try the keys");
    await press(page, "Space");
    await page.getByRole("checkbox", { name: "Try the keys", checked: true }).waitFor();
    await skipTo(page, "button", "Remove Try the keys");
    await press(page, "Enter");
    // The focus is not lost with the button.
    await focused(page, "textbox", "New to-do").waitFor();

    await goByKeys(page, "Messages");
    await page.getByRole("radio", { name: "Kim" }).waitFor();
    await skipTo(page, "radio", /./);
    await pressUntil(page, () => page.getByRole("radio", { name: "Kim", checked: true }).count(), "Space", "ArrowDown");
    await page.keyboard.press("Shift+Tab");
    await skipBack(page, "textbox", "Message to Kim");
    await page.keyboard.type("by keys");
    await press(page, "Enter");
    await bob.getByRole("log").getByText("by keys").waitFor();

    await goByKeys(page, "Board");
    await pressUntil(page, () => page.getByRole("application").and(page.locator(":focus")).count(), "Tab");
    await press(page, "ArrowLeft");
    await page.getByText("45 % from the left, 50 % from the top").waitFor();

    await goByKeys(page, "Output");
    await skipTo(page, "button", "Start");
    await press(page, "Enter");
    await page.getByText("Finished.").waitFor();

    await skipBack(page, "button", "Sign out");
    await press(page, "Enter");
    await page.getByRole("textbox", { name: "Your name" }).waitFor();
  });

  it("does not lose the focus with a person who leaves", async () => {
    const { page: lee } = await tabs.visit("/messages", "Lee");
    await tabs.visit("/messages", "Max");
    const { page } = await tabs.visit("/messages", "Ann");
    const radio = (name: string) => page.getByRole("radio", { name });
    await radio("Max").waitFor();
    await radio("Lee").focus();
    await lee.context().close();
    await radio("Lee").waitFor({ state: "detached" });
    expect(await page.locator("[name=to]:focus").count()).toBe(1);
  });

  /** Opens a page by its link in the navigation. A form does nothing until the script of the page has run. */
  async function goByKeys(page: Page, name: string): Promise<void> {
    await skipBack(page, "link", name);
    await press(page, "Enter");
    await page.getByRole("heading", { level: 1, name }).waitFor();
    await connected(page).waitFor();
  }

  /** Tabs forwards until an element has the focus. */
  function skipTo(page: Page, role: Parameters<typeof focused>[1], name: string | RegExp): Promise<void> {
    return pressUntil(page, () => focused(page, role, name).count(), "Tab");
  }

  /** Tabs backwards until an element has the focus. */
  function skipBack(page: Page, role: Parameters<typeof focused>[1], name: string | RegExp): Promise<void> {
    return pressUntil(page, () => focused(page, role, name).count(), "Shift+Tab");
  }

  async function pressUntil(page: Page, isThere: () => Promise<number>, ...keys: string[]): Promise<void> {
    for (let times = 0; times < 30; times += 1) {
      if ((await isThere()) > 0) return;
      await press(page, ...keys);
    }
    throw new Error(`30 presses of ${keys.join(", ")} did not lead there`);
  }
});
