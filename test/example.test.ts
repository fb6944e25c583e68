import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { delimiter } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { MemoryBackplane } from "enfilade/backplane";
import type { Browser, Page, Route } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { createChat } from "../example-app/server.js";
import { HttpError } from "../src/index.js";
import { connectURL } from "../src/testing/index.js";
import { launchBrowser } from "./support/browser.js";
import { cutOff } from "./support/layout.js";
import { missing } from "./support/parts.js";

interface Chat {
  /** `http://localhost:…`, without a slash at the end. */
  readonly url: string;
  /** Ends the server, its connections first. This also happens at the end of the test. */
  stop(): Promise<void>;
}

async function startChat(port = 0, backplane = new MemoryBackplane()): Promise<Chat> {
  const { app, server } = createChat(backplane);
  server.listen(port);
  await once(server, "listening");
  const stop = async () => {
    server.close();
    await app.close({ timeoutMs: 1000 });
    server.closeAllConnections();
  };
  onTestFinished(stop);
  return { url: `http://localhost:${(server.address() as AddressInfo).port}`, stop };
}

function announce(url: string, announcement: unknown): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return fetch(`${url}/api/announce`, { method: "POST", headers, body: JSON.stringify(announcement) });
}

describe.skipIf(missing("chromium", "the example app in a browser"))("the example app in a browser", () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterAll(() => browser?.close());

  /** A tab of another user, with its own localStorage. `watch` is called before the page loads anything. */
  async function openTab(url: string, watch?: (page: Page) => void): Promise<Page> {
    const context = await browser.newContext();
    onTestFinished(() => context.close());
    const page = await context.newPage();
    watch?.(page);
    await page.goto(url);
    return page;
  }

  async function enter(url: string, channel: string, name: string, watch?: (page: Page) => void): Promise<Page> {
    const page = await openTab(`${url}/c/${channel}`, watch);
    await introduce(page, name);
    await page.getByText("connected", { exact: true }).waitFor();
    return page;
  }

  async function introduce(page: Page, name: string): Promise<void> {
    await page.getByLabel("Name", { exact: true }).fill(name);
    await page.getByRole("button", { name: "Enter" }).click();
  }

  async function say(page: Page, text: string): Promise<void> {
    await page.getByLabel("Message", { exact: true }).fill(text);
    await page.getByRole("button", { name: "Send" }).click();
  }

  /** Collects the errors of a page, and the errors that the browser reports about it. */
  function collectErrors(page: Page, errors: string[]): void {
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    page.on("pageerror", (error) => errors.push(error.message));
  }

  const rename = (page: Page) => page.getByRole("button", { name: "Change your name" });
  const line = (page: Page, text: string) => page.getByRole("log").getByText(text, { exact: true });
  const here = (page: Page, name: string) => page.getByRole("complementary").getByText(name, { exact: true });

  it("lets two tabs in one channel talk, and shows who is there", async () => {
    const { url } = await startChat();
    const ann = await enter(url, "general", "Ann");
    const bob = await enter(url, "general", "Bob");
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
    const { url } = await startChat();
    const ann = await enter(url, "general", "Ann");
    const eve = await enter(url, "random", "Eve");
    await say(ann, "among us");
    await line(ann, "among us").waitFor();
    // Her own message comes after any message that could have come from the other channel.
    await say(eve, "alone here");
    await line(eve, "alone here").waitFor();
    expect(await eve.locator(".line").allTextContents()).toEqual([expect.stringContaining("alone here")]);
    expect(await eve.locator(".person").allTextContents()).toEqual(["Eve"]);
  });

  it("shows markup as text and runs none of it", async () => {
    const { url } = await startChat();
    const ann = await enter(url, "general", "<b>Ann</b>");
    const bob = await enter(url, "general", "Bob");
    const faults: string[] = [];
    for (const page of [ann, bob]) {
      page.on("dialog", (dialog) => faults.push(dialog.message()));
      page.on("pageerror", (error) => faults.push(error.message));
    }
    const texts = ["<img src=x onerror=globalThis.ran=1>", "<script>globalThis.ran = 1</script>"];
    for (const text of texts) {
      await say(ann, text);
      for (const page of [ann, bob]) await line(page, text).waitFor();
    }
    await here(bob, "<b>Ann</b>").waitFor();
    for (const page of [ann, bob]) {
      expect(await page.evaluate("globalThis.ran")).toBeUndefined();
      expect(await page.locator("main img, main script, .line b b").count()).toBe(0);
    }
    expect(faults).toEqual([]);
  });

  it("lets no text become a script", async () => {
    const { url } = await startChat();
    const page = await openTab(url);
    const attempts = ["createElement('img').setAttribute('onerror', '0')", "body.innerHTML = '<b>0</b>'"];
    for (const attempt of attempts) await expect(page.evaluate(`document.${attempt}`)).rejects.toThrow(/Trusted/);
  });

  it("refuses a name that is too long with a visible message, and asks again", async () => {
    const { url } = await startChat();
    const page = await openTab(`${url}/c/general`);
    await introduce(page, "x".repeat(33));
    const problem = page.getByText("A name has 1 to 32 characters.");
    await problem.waitFor();
    await introduce(page, "x".repeat(32));
    await here(page, "x".repeat(32)).waitFor();
    expect(await problem.isVisible()).toBe(false);
  });

  it("asks for the name once", async () => {
    const { url } = await startChat();
    const page = await enter(url, "general", "Ann");
    await here(page, "Ann").waitFor();
    await page.goto(`${url}/c/random`);
    await here(page, "Ann").waitFor();
    expect(await page.getByLabel("Name", { exact: true }).isVisible()).toBe(false);
  });

  it("refuses a message that is too long with a visible message, and puts it back into the input", async () => {
    const { url } = await startChat();
    const page = await enter(url, "general", "Ann");
    await say(page, "y".repeat(2001));
    await page.getByText("A message has at most 2000 characters.").waitFor();
    expect(await page.getByLabel("Message", { exact: true }).inputValue()).toBe("y".repeat(2001));
  });

  it("refuses a bad channel name before it asks for the user's name", async () => {
    const { url } = await startChat();
    const errors: string[] = [];
    const page = await openTab(`${url}/c/no%20good`, (page) => collectErrors(page, errors));
    const name = page.getByLabel("Name", { exact: true });
    const problem = page.getByText("A channel's name is made of letters, digits, - and _.");
    await problem.or(name).filter({ visible: true }).waitFor();
    expect(await name.isVisible()).toBe(false);
    expect(await page.getByLabel("Open another channel").inputValue()).toBe("no good");
    expect(errors).toEqual([]);
  });

  it("refuses a bad channel name in the list of channels, and stays there", async () => {
    const { url } = await startChat();
    const errors: string[] = [];
    const page = await openTab(url, (page) => collectErrors(page, errors));
    await page.getByLabel("Open another channel").fill("no/good");
    await page.getByRole("button", { name: "Open" }).click();
    await page.getByText("A channel's name is made of letters, digits, - and _.").waitFor();
    expect(page.url()).toBe(`${url}/`);
    expect(errors).toEqual([]);
  });

  it.each([
    ["an empty name", ""],
    ["a blank name", "  "],
    ["a name that is too long", "x".repeat(33)],
  ])("refuses %s with a visible message and no error in the console", async (_what, name) => {
    const { url } = await startChat();
    const errors: string[] = [];
    const page = await openTab(`${url}/c/general`, (page) => collectErrors(page, errors));
    await introduce(page, name);
    await page.getByRole("alert").getByText("A name has 1 to 32 characters.", { exact: true }).waitFor();
    expect(await page.getByLabel("Name", { exact: true }).inputValue()).toBe(name);
    await introduce(page, "Ann");
    await here(page, "Ann").waitFor();
    expect(errors).toEqual([]);
  });

  it("cancels a rename on Escape: the old name comes back and nothing is sent", async () => {
    const { url } = await startChat();
    const sent: unknown[] = [];
    const ann = await enter(url, "general", "Ann", (page) =>
      page.on("websocket", (socket) => {
        sent.push(`open ${new URL(socket.url()).pathname}`);
        socket.on("framesent", ({ payload }) => sent.push(JSON.parse(String(payload))));
        socket.on("close", () => sent.push("close"));
      }),
    );
    const bob = await enter(url, "general", "Bob");
    await here(ann, "Bob").waitFor();
    const before = [...sent];
    await rename(ann).click();
    await ann.getByLabel("Name", { exact: true }).fill("Zoe");
    await ann.keyboard.press("Escape");
    await rename(ann).waitFor();
    expect(await rename(ann).textContent()).toBe("Ann");
    expect(await ann.evaluate("localStorage.getItem('name')")).toBe("Ann");
    await rename(ann).click();
    expect(await ann.getByLabel("Name", { exact: true }).inputValue()).toBe("Ann");
    await ann.getByRole("button", { name: "Cancel" }).click();
    await say(ann, "still Ann");
    for (const page of [ann, bob]) await line(page, "still Ann").waitFor();
    expect(sent).toEqual([...before, { type: "message", id: 1, data: { text: "still Ann" } }]);
    expect(await bob.locator(".notice .text").allTextContents()).toEqual(["Ann joined", "Bob joined"]);
    expect(await bob.locator(".line .name").allTextContents()).toEqual(["Ann"]);
  });

  it("renames, and keeps the old name while the new one is refused", async () => {
    const { url } = await startChat();
    const ann = await enter(url, "general", "Ann");
    const bob = await enter(url, "general", "Bob");
    await here(ann, "Bob").waitFor();
    await rename(ann).click();
    await introduce(ann, "");
    await ann.getByText("A name has 1 to 32 characters.").waitFor();
    await ann.keyboard.press("Escape");
    expect(await rename(ann).textContent()).toBe("Ann");
    await rename(ann).click();
    await introduce(ann, " Zoe ");
    await here(bob, "Zoe").waitFor();
    await here(bob, "Ann").waitFor({ state: "detached" });
    await rename(ann).filter({ hasText: "Zoe" }).waitFor();
  });

  it("ignores the answer about a new name once the rename is cancelled", async () => {
    const { url } = await startChat();
    const ann = await enter(url, "general", "Ann");
    const bob = await enter(url, "general", "Bob");
    await here(ann, "Bob").waitFor();
    const held = new Promise<Route>((resolve, reject) => ann.route(/entry/, resolve).catch(reject));
    await rename(ann).click();
    await introduce(ann, "Zoe");
    const question = await held;
    await ann.keyboard.press("Escape");
    const answered = ann.waitForResponse(/entry/);
    await question.continue();
    await (await answered).finished();
    await say(ann, "still Ann");
    await line(bob, "still Ann").waitFor();
    expect(await bob.locator(".line .name").allTextContents()).toEqual(["Ann"]);
    expect(await bob.locator(".notice .text").allTextContents()).toEqual(["Ann joined", "Bob joined"]);
  });

  it("shows who joined from left to right, for names of any direction", async () => {
    const { url } = await startChat();
    const page = await enter(url, "general", "عبد الله");
    const joined = line(page, "عبد الله joined");
    await joined.waitFor();
    const { direction } = await joined.evaluate((text) => text.ownerDocument.defaultView.getComputedStyle(text));
    expect(direction).toBe("ltr");
  });

  const longWord = "w".repeat(400);
  const longName = "W".repeat(32);

  it.each([
    [320, 568],
    [375, 667],
    [568, 320],
    [1280, 800],
  ])("cuts nothing off on %i by %i pixels", async (width, height) => {
    const { url } = await startChat();
    const eve = await enter(url, "general", longName);
    await say(eve, longWord);
    await enter(url, "w".repeat(32), "Bob");
    const page = await openTab(url);
    await page.setViewportSize({ width, height });

    await page.getByRole("link", { name: longName.toLowerCase() }).waitFor();
    expect(await cutOff(page)).toEqual([]);
    await page.goto(`${url}/c/${longWord}`);
    const problem = page.getByText("A channel's name has 1 to 32 characters.");
    await problem.waitFor();
    await page.getByRole("link", { name: longName.toLowerCase() }).waitFor();
    const { y = height, height: problemHeight = 0 } = (await problem.boundingBox()) ?? {};
    expect(y + problemHeight).toBeLessThanOrEqual(height);
    expect(await cutOff(page)).toEqual([]);

    await page.goto(`${url}/c/general`);
    await page.getByLabel("Name", { exact: true }).waitFor();
    expect(await cutOff(page)).toEqual([]);
    await introduce(page, longWord);
    await page.getByText("A name has 1 to 32 characters.").waitFor();
    expect(await cutOff(page)).toEqual([]);

    await introduce(page, "Ann");
    await here(page, longName).waitFor();
    await say(page, `https://example.com/${longWord}`);
    await announce(url, { channel: "general", text: longWord });
    await page.locator(".announcement").waitFor();
    await say(page, "y".repeat(2001));
    await page.getByText("A message has at most 2000 characters.").waitFor();
    expect(await page.locator(".line .text").allTextContents()).toEqual([longWord, `https://example.com/${longWord}`]);
    expect(await cutOff(page)).toEqual([]);
    const size = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]";
    expect(await page.evaluate(size)).toEqual([width, height]);

    await rename(page).click();
    await page.getByRole("button", { name: "Cancel" }).waitFor();
    expect(await cutOff(page)).toEqual([]);
    await page.keyboard.press("Escape");
    await page.context().setOffline(true);
    await page.getByRole("alert").filter({ hasText: "The connection was lost" }).waitFor();
    expect(await cutOff(page)).toEqual([]);
    expect(await page.evaluate(size)).toEqual([width, height]);
  });

  it.each([320, 375, 1280])("ends a long name with an ellipsis and shows the title, %i pixels wide", async (width) => {
    const { url } = await startChat();
    const page = await enter(url, "general", longName);
    await page.setViewportSize({ width, height: 568 });
    await here(page, longName).waitFor();
    // Only the name is shortened: the title, the state and the list are complete.
    expect(await cutOff(page)).toEqual(["rename"]);
    const { textOverflow } = await rename(page).evaluate((button) => {
      return button.ownerDocument.defaultView.getComputedStyle(button);
    });
    expect(textOverflow).toBe("ellipsis");
    expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe("# general");
    expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(width);
  });

  it("lists the channels and opens them", async () => {
    const { url } = await startChat();
    await enter(url, "grüne-wiese", "Ann");
    const page = await openTab(url);
    await page.getByRole("link", { name: "# grüne-wiese 1 person" }).click();
    await introduce(page, "Bob");
    await here(page, "Ann").waitFor();
    await page.getByRole("link", { name: "Enfilade chat" }).click();
    await page.getByLabel("Open another channel").fill("Cellar");
    await page.getByRole("button", { name: "Open" }).click();
    await here(page, "Bob").waitFor();
    expect(await page.getByRole("heading", { level: 1 }).textContent()).toBe("# cellar");
  });

  it("removes a person who closes the tab from the list", async () => {
    const { url } = await startChat();
    const ann = await enter(url, "general", "Ann");
    const bob = await enter(url, "general", "Bob");
    await here(ann, "Bob").waitFor();
    await bob.close();
    await here(ann, "Bob").waitFor({ state: "detached" });
    await line(ann, "Bob left").waitFor();
    await ann.getByText("Here now (1)").waitFor();
  });

  it("shows an announcement from HTTP", async () => {
    const { url } = await startChat();
    const ann = await enter(url, "general", "Ann");
    await here(ann, "Ann").waitFor();
    const { status } = await announce(url, { channel: "general", text: "Lunch <b>now</b>" });
    expect(status).toBe(202);
    await line(ann, "Lunch <b>now</b>").waitFor();
  });

  it("shows a banner when the server stops, then reconnects by itself, and no shown message is lost", async () => {
    const backplane = new MemoryBackplane();
    const first = await startChat(0, backplane);
    const port = Number(new URL(first.url).port);
    const ann = await enter(first.url, "general", "Ann");
    const bob = await enter(first.url, "general", "Bob");
    await say(ann, "before");
    await line(bob, "before").waitFor();
    await first.stop();
    for (const page of [ann, bob]) {
      await page.getByRole("alert").filter({ hasText: "The connection was lost" }).waitFor();
      await page.getByText("reconnecting", { exact: true }).waitFor();
    }
    for (const text of ["while away, 1", "while away, 2"]) await say(ann, text);
    await startChat(port, backplane);
    await announce(first.url, { channel: "general", text: "announced meanwhile" });
    for (const page of [ann, bob]) {
      await page.getByText("connected", { exact: true }).waitFor();
      for (const text of ["while away, 1", "while away, 2", "announced meanwhile"]) await line(page, text).waitFor();
      const said = await page.locator(".line .text").allTextContents();
      expect(said).toEqual(["before", "while away, 1", "while away, 2"]);
      expect(await page.getByRole("alert").filter({ hasText: "lost" }).isVisible()).toBe(false);
    }
  });

  it("shows that messages may be missing when the server comes back without its history", async () => {
    const first = await startChat();
    const port = Number(new URL(first.url).port);
    const ann = await enter(first.url, "general", "Ann");
    await say(ann, "before");
    await line(ann, "before").waitFor();
    await first.stop();
    await ann.getByText("reconnecting", { exact: true }).waitFor();
    await startChat(port);
    await ann.getByText("Some messages may be missing").waitFor();
    await say(ann, "after");
    await line(ann, "after").waitFor();
    expect(await line(ann, "before").count()).toBe(0);
  });

  it("sends messages written offline, in order, when it is online again", async () => {
    const { url } = await startChat();
    const ann = await enter(url, "general", "Ann");
    const bob = await enter(url, "general", "Bob");
    await ann.context().setOffline(true);
    await ann.getByText("reconnecting", { exact: true }).waitFor();
    for (const text of ["one", "two", "three"]) await say(ann, text);
    await say(bob, "meanwhile");
    await ann.context().setOffline(false);
    for (const page of [ann, bob]) {
      await line(page, "three").waitFor();
      expect(await page.locator(".line .text").allTextContents()).toEqual(["meanwhile", "one", "two", "three"]);
    }
  });

  it("shows earlier messages to a new client", async () => {
    const { url } = await startChat();
    const ann = await enter(url, "general", "Ann");
    for (const text of ["one", "two"]) await say(ann, text);
    await line(ann, "two").waitFor();
    const bob = await enter(url, "general", "Bob");
    await line(bob, "two").waitFor();
    expect(await bob.locator(".line .text").allTextContents()).toEqual(["one", "two"]);
  });

  it("counts two tabs with one name as one person, and reports nothing for a reload", async () => {
    const { url } = await startChat();
    const ann = await enter(url, "general", "Ann");
    const bob = await enter(url, "general", "Bob");
    const again = await enter(url, "general", "Bob");
    await here(again, "Ann").waitFor();
    await ann.getByText("Here now (2)").waitFor();
    await bob.reload();
    await bob.getByText("connected", { exact: true }).waitFor();
    await say(bob, "still me");
    await line(ann, "still me").waitFor();
    expect(await ann.locator(".notice .text").allTextContents()).toEqual(["Ann joined", "Bob joined"]);
  });
});

describe("the example app over HTTP", () => {
  it("sends the headers that keep text from becoming a script", async () => {
    const { url } = await startChat();
    for (const path of ["/", "/c/general", "/chat.js", "/api/status", "/nowhere"]) {
      const { headers } = await fetch(url + path);
      expect(headers.get("content-security-policy"), path).toContain("default-src 'none'; script-src 'self';");
      expect(headers.get("x-content-type-options"), path).toBe("nosniff");
    }
  });

  it.each([
    ["no channel", { text: "hello" }, "A channel's name has"],
    ["a channel that is none", { channel: "a/../b", text: "hello" }, "A channel's name is made of"],
    ["no text", { channel: "general", text: " " }, "at least one character"],
    ["too long a text", { channel: "general", text: "x".repeat(2001) }, "at most 2000 characters"],
    ["no object", [], "An announcement is JSON"],
  ])("refuses an announcement with %s", async (_what, announcement, message) => {
    const { url } = await startChat();
    const response = await announce(url, announcement);
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({ error: expect.stringContaining(message) });
  });

  it("refuses a body that is not JSON, and reveals no details", async () => {
    const { url } = await startChat();
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${url}/api/announce`, { method: "POST", headers, body: "{" });
    expect(response.status).toBe(400);
    expect(await response.text()).toBe('{"error":"The request cannot be read."}');
  });

  it.each([
    ["accepts", { channel: "general", name: "Ann" }, 204, ""],
    [
      "refuses",
      { channel: "a b", name: "" },
      200,
      { field: "channel", error: expect.stringMatching(/made of letters/) },
    ],
    ["refuses", { channel: "general", name: "" }, 200, { field: "name", error: "A name has 1 to 32 characters." }],
  ])("%s %o when a page asks about it", async (_what, query, status, answer) => {
    const { url } = await startChat();
    const response = await fetch(`${url}/api/entry?${new URLSearchParams(query)}`);
    expect(response.status).toBe(status);
    const text = await response.text();
    expect(text === "" ? text : JSON.parse(text)).toEqual(answer);
  });

  it("reports its status, and answers 426 to HTTP on a WebSocket path", async () => {
    const { url } = await startChat();
    expect(await (await fetch(`${url}/api/status`)).json()).toMatchObject({ state: "open", connections: 0 });
    expect((await fetch(`${url}/chat/general`)).status).toBe(426);
  });
});

describe("the example app over a WebSocket", () => {
  it.each(["", "%20", "x".repeat(33), "a%0Ab", "%E2%80%AEnnA"])("refuses the name '%s'", async (name) => {
    const { url } = await startChat();
    const refused = connectURL(`${url.replace("http", "ws")}/chat/general?name=${name}`);
    await expect(refused).rejects.toThrow(HttpError);
    await expect(refused).rejects.toMatchObject({ status: 400, message: expect.stringMatching(/^A name has/) });
  });

  it("sends a plain client the history, then its welcome", async () => {
    const { url } = await startChat();
    await announce(url, { channel: "general", text: "to an empty channel" });
    const ann = await connectURL(`${url.replace("http", "ws")}/chat/general?name=Ann`);
    for (const type of ["announced", "welcome", "joined"]) expect(await ann.readJSON()).toMatchObject({ type });
  });

  it.each(["{", "7", "null", "{}", '{"text":""}', '{"text":" \\n"}', '{"text":["a"]}'])(
    "answers the bad message %s with an error, and continues",
    async (text) => {
      const { url } = await startChat();
      const ann = await connectURL(`${url.replace("http", "ws")}/chat/general?name=Ann`);
      const types = ["welcome", "joined"];
      for (const type of types) expect(await ann.readJSON()).toMatchObject({ type });
      ann.sendText(text);
      expect(await ann.readJSON()).toEqual({ type: "error", message: expect.stringMatching(/^A message (is|has) /) });
      ann.sendJSON({ text: "hello", id: "forged", name: "Eve", type: "announced" });
      expect(await ann.readJSON()).toMatchObject({ type: "said", name: "Ann", text: "hello" });
    },
  );
});

describe("npm start", () => {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const { scripts } = JSON.parse(readFileSync(`${root}package.json`, "utf8")) as {
    scripts: { start: string; "start:cluster": string };
  };

  /** Runs the command as npm does. A shell in between would not forward the signal. */
  function npmStart(port: number | string, script = scripts.start, variables = {}): ChildProcess {
    const path = `${root}node_modules/.bin${delimiter}${process.env.PATH}`;
    const command = `exec ${script.replace(/^exec /, "")}`;
    const env = { ...process.env, PATH: path, PORT: String(port), ...variables };
    const child = spawn("sh", ["-c", command], { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
    onTestFinished(() => void child.kill("SIGKILL"));
    return child;
  }

  async function linesOf(stream: NodeJS.ReadableStream | null): Promise<string[]> {
    const lines: string[] = [];
    if (stream !== null) for await (const line of createInterface({ input: stream })) lines.push(line);
    return lines;
  }

  it.each(["SIGTERM", "SIGINT"] as const)("prints its URL, serves there, and ends with 0 on %s", async (signal) => {
    const child = npmStart(0);
    const complaints = linesOf(child.stderr);
    const exited = once(child, "exit");
    const lines: string[] = [];
    if (child.stdout === null) throw new Error("it has no output");
    for await (const line of createInterface({ input: child.stdout })) {
      lines.push(line);
      const [url = ""] = /http:\S+/.exec(line) ?? [];
      const page = await fetch(url);
      expect(await page.text()).toContain("<title>Enfilade chat</title>");
      const ann = await connectURL(`${url.replace("http", "ws")}chat/general?name=Ann`);
      child.kill(signal);
      expect(await ann.closed).toMatchObject({ code: 1001 });
    }
    expect(await exited).toEqual([0, null]);
    expect(await complaints).toEqual([]);
    expect(lines).toEqual([expect.stringMatching(/^The chat is at http:\/\/localhost:\d+\/$/)]);
  });

  it.skipIf(missing("redis", "the example app on many processes"))(
    "runs many processes on one port with shared rooms, and ends them all with 0",
    async () => {
      const child = npmStart(0, scripts["start:cluster"], { WORKERS: "3" });
      const complaints = linesOf(child.stderr);
      const exited = once(child, "exit");
      if (child.stdout === null) throw new Error("it has no output");
      for await (const line of createInterface({ input: child.stdout })) {
        expect(line).toMatch(/^The chat is at http:\/\/localhost:\d+\/, on 3 processes$/);
        const [url = ""] = /http:[^,]+/.exec(line) ?? [];
        const room = `${url.replace("http", "ws")}chat/general`;
        // New connections are distributed to the processes in turn.
        const people = await Promise.all(["Ann", "Bob", "Cy", "Dan"].map((name) => connectURL(`${room}?name=${name}`)));
        people[0]?.sendJSON({ text: "to all of us" });
        for (const person of people) {
          let message: unknown;
          do message = await person.readJSON();
          while (JSON.stringify(message).includes("to all of us") === false);
          expect(message).toMatchObject({ type: "said", name: "Ann" });
        }
        const status = async () =>
          (await fetch(`${url}api/status`)).json() as Promise<{ backplane: { nodes: number } }>;
        while ((await status()).backplane.nodes < 3) expect(await status()).toMatchObject({ ready: true });
        expect(await status()).toMatchObject({ ready: true, backplane: { engine: "redis", nodes: 3 } });
        child.kill("SIGTERM");
        for (const person of people) expect(await person.closed).toMatchObject({ code: 1001 });
      }
      expect(await exited).toEqual([0, null]);
      expect(await complaints).toEqual([]);
    },
  );

  it("reports clearly that redis-server did not start, and ends with 1", async () => {
    const args = ["--import", "tsx", "example-app/cluster.ts"];
    const env = { ...process.env, PATH: "/nowhere", PORT: "0", REDIS_URL: undefined };
    const child = spawn(process.execPath, args, { cwd: root, env, stdio: ["ignore", "pipe", "pipe"] });
    onTestFinished(() => void child.kill("SIGKILL"));
    const exited = once(child, "exit");
    expect(await linesOf(child.stderr)).toEqual([expect.stringMatching(/^redis-server did not start .*REDIS_URL/)]);
    expect(await exited).toEqual([1, null]);
  });

  it("reports clearly that a port is taken", async () => {
    const { url } = await startChat();
    const { port } = new URL(url);
    const child = npmStart(port);
    const exited = once(child, "exit");
    expect(await linesOf(child.stderr)).toEqual([expect.stringContaining(`Port ${port} is taken.`)]);
    expect(await exited).toEqual([1, null]);
  });
});
