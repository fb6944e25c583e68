import { MemoryBackplane } from "enfilade/backplane";
import type { Page } from "playwright-core";
import { describe, expect, it, onTestFinished } from "vitest";
import { ManualClock } from "../../src/testing/index.js";
import { missing } from "../support/parts.js";
import { startSite } from "./site.js";
import { connected, Tabs } from "./tabs.js";

const secret = "a secret of tests, 32 characters or more";

describe.skipIf(missing("chromium", "the chat of the example"))("the chat of the example", () => {
  const tabs = Tabs.ofFile();

  async function say(page: Page, text: string): Promise<void> {
    await page.getByLabel("Message", { exact: true }).fill(text);
    await page.getByRole("button", { name: "Send" }).click();
  }

  const line = (page: Page, text: string) => page.getByRole("log").getByText(text, { exact: true });
  const here = (page: Page, name: string) => page.getByRole("region", { name: "Here now" }).getByText(name);
  const said = (page: Page) => page.locator(".line .text").allTextContents();
  const notices = (page: Page) => page.locator(".notice .text").allTextContents();

  it("lets two people talk, and shows who is there", async () => {
    const { page: ann } = await tabs.visit("/c/talk", "Ann");
    const { page: bob } = await tabs.visit("/c/talk", "Bob");
    await line(ann, "Bob joined").waitFor();
    await here(ann, "Bob").waitFor();
    await here(bob, "Ann").waitFor();
    await say(ann, "Grüße, Bob! 👋");
    await line(bob, "Grüße, Bob! 👋").waitFor();
    await say(bob, "Hello, Ann.");
    await line(ann, "Hello, Ann.").waitFor();
    await ann.locator(".own", { hasText: "Grüße" }).waitFor();
    await bob.locator(".line:not(.own)", { hasText: "Grüße" }).waitFor();
  });

  it("shows no messages of another channel", async () => {
    const { page: ann } = await tabs.visit("/c/apart", "Ann");
    const { page: eve } = await tabs.visit("/c/elsewhere", "Eve");
    await say(ann, "among us");
    await line(ann, "among us").waitFor();
    // Her own message comes after any message that could have come from the other channel.
    await say(eve, "alone here");
    await line(eve, "alone here").waitFor();
    expect(await said(eve)).toEqual(["alone here"]);
    expect(await eve.locator(".person").allTextContents()).toEqual(["Eve (you)"]);
  });

  it("shows who is typing until the message comes, and keeps nothing of it", async () => {
    const { page: ann } = await tabs.visit("/c/typing", "Ann");
    const { page: bob } = await tabs.visit("/c/typing", "Bob");
    await here(ann, "Bob").waitFor();
    await ann.getByLabel("Message", { exact: true }).pressSequentially("He");
    await bob.getByText("Ann is typing…").waitFor();
    await say(ann, "Hello");
    await line(bob, "Hello").waitFor();
    expect(await bob.locator("#typing").textContent()).toBe("");
    await ann.getByLabel("Message", { exact: true }).pressSequentially("A");
    await bob.getByText("Ann is typing…").waitFor();
    const { page: cy } = await tabs.visit("/c/typing", "Cy");
    await line(cy, "Hello").waitFor();
    // It comes after all that the history has.
    await line(cy, "Cy joined").waitFor();
    expect(await cy.locator("#typing").textContent()).toBe("");
  });

  it("shows markup in names and messages as text and runs none of it", async () => {
    const { page: ann } = await tabs.visit("/c/markup", "<b>Ann</b><img src=x>");
    const { page: bob } = await tabs.visit("/c/markup", "Bob");
    for (const text of ["<img src=x onerror=globalThis.ran=1>", "<script>globalThis.ran = 1</script>"]) {
      await say(ann, text);
      for (const page of [ann, bob]) await line(page, text).waitFor();
    }
    await ann.getByLabel("Message", { exact: true }).pressSequentially("x");
    await bob.getByText("<b>Ann</b><img src=x> is typing…").waitFor();
    await here(bob, "<b>Ann</b>").waitFor();
    for (const page of [ann, bob]) {
      expect(await page.evaluate("globalThis.ran")).toBeUndefined();
      expect(await page.locator("main img, main script, main b b, .me b").count()).toBe(0);
    }
  });

  it("lets no text become a script", async () => {
    const { url, visitor } = await tabs.site();
    // The browser reports each attempt on the console.
    const page = await tabs.openAs(url, "/c/scripts", visitor("Ann"), { isNoisy: true });
    const attempts = ["createElement('img').setAttribute('onerror', '0')", "body.innerHTML = '<b>0</b>'"];
    for (const attempt of attempts) await expect(page.evaluate(`document.${attempt}`)).rejects.toThrow(/Trusted/);
  });

  it("refuses a message that is too long with a visible message, and puts it back into the input", async () => {
    const { page } = await tabs.visit("/c/long", "Ann");
    await say(page, "y".repeat(2001));
    await page.getByText("A message has at most 2000 characters.").waitFor();
    expect(await page.getByLabel("Message", { exact: true }).inputValue()).toBe("y".repeat(2001));
  });

  it("shows who joined from left to right, for names of any direction", async () => {
    const { page } = await tabs.visit("/c/direction", "عبد الله");
    const joined = line(page, "عبد الله joined");
    await joined.waitFor();
    const { direction } = await joined.evaluate((text) => text.ownerDocument.defaultView.getComputedStyle(text));
    expect(direction).toBe("ltr");
  });

  it("shows earlier messages to a new client", async () => {
    const { page: ann } = await tabs.visit("/c/earlier", "Ann");
    for (const text of ["one", "two"]) await say(ann, text);
    await line(ann, "two").waitFor();
    const { page: bob } = await tabs.visit("/c/earlier", "Bob");
    await line(bob, "two").waitFor();
    expect(await said(bob)).toEqual(["one", "two"]);
  });

  it("counts two tabs of a person once, and reports nothing for a reload", async () => {
    const { url } = await tabs.site();
    const { page: ann } = await tabs.visit("/c/reload", "Ann");
    const { page: bob, who } = await tabs.visit("/c/reload", "Bob");
    const again = await tabs.openAs(url, "/c/reload", who);
    await here(again, "Ann").waitFor();
    await ann.getByText("Here now (2)").waitFor();
    await bob.reload();
    await connected(bob).waitFor();
    await say(bob, "still me");
    await line(ann, "still me").waitFor();
    expect(await notices(ann)).toEqual(["Ann joined", "Bob joined"]);
  });

  it("removes a person who closes the tab from the list", async () => {
    const clock = new ManualClock();
    const site = await startSite({ clock });
    onTestFinished(() => site.stop());
    const ann = await tabs.openAs(site.url, "/c/general", site.visitor("Ann"));
    const bob = await tabs.openAs(site.url, "/c/general", site.visitor("Bob"));
    await here(ann, "Bob").waitFor();
    await bob.close();
    const eve = site.visitor("Eve");
    const status = async () => (await site.call(eve, "GET", "/status")).json() as Promise<{ connections: number }>;
    while ((await status()).connections > 1);
    // The grace in which a person may return.
    clock.advance(5_000);
    await here(ann, "Bob").waitFor({ state: "detached" });
    await line(ann, "Bob left").waitFor();
    await ann.getByText("Here now (1)").waitFor();
  });

  it("lists the channels with the number of people and opens them", async () => {
    const { page: ann } = await tabs.visit("/c/grüne-wiese", "Ann");
    const { page } = await tabs.visit("/", "Bob");
    await page.getByRole("link", { name: "# grüne-wiese 1 person" }).click();
    await here(page, "Ann").waitFor();
    await here(ann, "Bob").waitFor();
    await page.getByRole("link", { name: "Channels" }).click();
    await page.getByLabel("Open another channel").fill("Cellar");
    await page.getByRole("button", { name: "Open" }).click();
    await here(page, "Bob").waitFor();
    expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe("# cellar");
  });

  it("refuses a bad channel name in the list of channels, and by its link", async () => {
    const { url } = await tabs.site();
    const { page } = await tabs.visit("/", "Ann");
    const problem = page.getByText("A channel's name is made of letters, digits, - and _.");
    await page.getByLabel("Open another channel").fill("no/good");
    await page.getByRole("button", { name: "Open" }).click();
    await problem.waitFor();
    expect(page.url()).toBe(`${url}/`);
    await page.goto(`${url}/c/no%20good`);
    await problem.waitFor();
    expect(await page.getByLabel("Open another channel").inputValue()).toBe("no good");
  });

  it("shows a banner when the server stops, then reconnects by itself, and no shown message is lost", async () => {
    const backplane = new MemoryBackplane();
    const first = await startSite({ backplane, secret });
    onTestFinished(() => first.stop());
    const [annName, bobName] = [first.visitor("Ann"), first.visitor("Bob")];
    const ann = await tabs.openAs(first.url, "/c/general", annName, { isNoisy: true });
    const bob = await tabs.openAs(first.url, "/c/general", bobName, { isNoisy: true });
    await say(ann, "before");
    await line(bob, "before").waitFor();
    await first.stop();
    for (const page of [ann, bob]) {
      await page.getByRole("alert").filter({ hasText: "The connection was lost" }).waitFor();
      await page.getByText("reconnecting", { exact: true }).waitFor();
    }
    for (const text of ["while away, 1", "while away, 2"]) await say(ann, text);
    const second = await startSite({ backplane, secret }, Number(new URL(first.url).port));
    onTestFinished(() => second.stop());
    for (const page of [ann, bob]) {
      await connected(page).waitFor();
      for (const text of ["while away, 1", "while away, 2"]) await line(page, text).waitFor();
      expect(await said(page)).toEqual(["before", "while away, 1", "while away, 2"]);
      expect(await page.getByRole("alert").filter({ hasText: "lost" }).isVisible()).toBe(false);
    }
  });

  it("shows that messages may be missing when the server comes back without its history", async () => {
    const first = await startSite({ secret });
    onTestFinished(() => first.stop());
    const ann = await tabs.openAs(first.url, "/c/general", first.visitor("Ann"), { isNoisy: true });
    await say(ann, "before");
    await line(ann, "before").waitFor();
    await first.stop();
    await ann.getByText("reconnecting", { exact: true }).waitFor();
    const second = await startSite({ secret }, Number(new URL(first.url).port));
    onTestFinished(() => second.stop());
    await ann.getByText("Some messages may be missing").waitFor();
    await say(ann, "after");
    await line(ann, "after").waitFor();
    expect(await line(ann, "before").count()).toBe(0);
  });

  it("sends messages written offline, in order, when it is online again", async () => {
    const { url, visitor } = await tabs.site();
    const ann = await tabs.openAs(url, "/c/offline", visitor("Ann"), { isNoisy: true });
    const { page: bob } = await tabs.visit("/c/offline", "Bob");
    await ann.context().setOffline(true);
    await ann.getByText("reconnecting", { exact: true }).waitFor();
    for (const text of ["one", "two", "three"]) await say(ann, text);
    await say(bob, "meanwhile");
    await line(bob, "meanwhile").waitFor();
    await ann.context().setOffline(false);
    for (const page of [ann, bob]) {
      await line(page, "three").waitFor();
      expect(await said(page)).toEqual(["meanwhile", "one", "two", "three"]);
    }
  });
});
