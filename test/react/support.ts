import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { expect, onTestFinished } from "vitest";
import { App, anonymous, type ConnectionRequest, EventError, EventHandler, HttpError, On } from "../../src/index.js";
import { Mailbox } from "../support/app.js";

/** What the server of a test sees, and how the test controls it. */
export interface TestServer {
  readonly app: App;
  readonly origin: string;
  /** The paths of all upgrade requests, also of those that a page has given up. */
  readonly upgrades: string[];
  /** The path and the token of each connection. */
  readonly opened: Mailbox<string>;
  readonly closed: Mailbox<string>;
  /** The requests `slow` that wait for their reply, by name. */
  readonly slow: Mailbox<string>;
  reply(name: string): void;
  /** Tokens that are refused. */
  readonly refused: Set<string>;
}

const development = { "process.env.NODE_ENV": '"development"' };

/** The script of the pages, with the checks of React for developers. */
async function pageScript(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("page/main.tsx", import.meta.url))],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2022",
    platform: "browser",
    jsx: "automatic",
    define: development,
  });
  return outputFiles[0]?.text ?? "";
}

let script: Promise<string> | undefined;

/** @param body The HTML of the application, as a server has rendered it. Default: none. */
export async function startServer(body = ""): Promise<TestServer> {
  script ??= pageScript();
  const code = await script;
  const upgrades: string[] = [];
  const [opened, closed, slow] = [new Mailbox<string>(), new Mailbox<string>(), new Mailbox<string>()];
  const refused = new Set<string>();
  const replies = new Map<string, () => void>();

  class Chat extends EventHandler<{ room: string }, { id: string } | undefined> {
    authorize({ token }: ConnectionRequest) {
      if (refused.has(token ?? "")) throw new HttpError(401);
      return token === undefined ? anonymous : { id: token };
    }
    override onConnect() {
      opened.put([this.room.path, this.user?.id].join(" ").trim());
    }
    override onClose() {
      closed.put(this.room.path);
    }
    @On("say")
    onSay(text: string) {
      this.emitToThisRoom("said", text);
      return { length: text.length };
    }
    @On("slow")
    async onSlow(name: string) {
      slow.put(name);
      await new Promise<void>((resolve) => replies.set(name, resolve));
      return `reply to ${name}`;
    }
    @On("fail")
    onFail() {
      throw new EventError("no_luck", "it failed");
    }
    @On("load")
    onLoad() {
      return [`loaded ${opened.all.length}`];
    }
  }

  const server = createServer(({ url }, response) => {
    if (url === "/page.js") response.setHeader("content-type", "text/javascript").end(code);
    else {
      response.setHeader("content-type", "text/html");
      response.end(`<!doctype html><div id="root">${body}</div><script type="module" src="/page.js"></script>`);
    }
  });
  server.on("upgrade", ({ url = "" }) => upgrades.push(url.replace(/\?.*/, "")));
  const app = new App().route("/chat/:room", Chat, { presence: { mode: "full", leaveGraceMs: 0 } }).attach(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    await app.close({ timeoutMs: 200 });
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const reply = (name: string) => replies.get(name)?.();
  return { app, origin: `http://127.0.0.1:${port}`, upgrades, opened, closed, slow, reply, refused };
}

/** A page with one scenario of `page/`. */
export interface Tab {
  readonly page: Page;
  /** Waits until the page has an element with this text. */
  see(text: string): Promise<void>;
  click(button: string): Promise<void>;
  /** Moves the clock of the page. */
  advance(ms: number): Promise<void>;
}

/** Opens a scenario, and checks at the end of `use` that the browser had nothing to report. */
export async function inTab(
  browser: Browser,
  server: TestServer,
  scenario: string,
  use: (tab: Tab) => Promise<void>,
  expected?: RegExp,
): Promise<void> {
  const context = await browser.newContext();
  context.setDefaultTimeout(10_000);
  const problems: string[] = [];
  try {
    const page = await context.newPage();
    page.on("console", (message) => problems.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => problems.push(error.message));
    await page.goto(`${server.origin}/${scenario}`);
    await use(tabOf(page));
  } catch (error) {
    throw new Error([String(error), ...problems, await textOf(context)].join("\n"), { cause: error });
  } finally {
    await context.close();
  }
  expect(problems.filter((problem) => !isHarmless.test(problem) && !expected?.test(problem))).toEqual([]);
}

/** React advertises its tools for developers. */
const isHarmless = /React DevTools|favicon/;

function tabOf(page: Page): Tab {
  return {
    page,
    see: (text) => page.getByText(text, { exact: true }).first().waitFor(),
    click: (name) => page.getByRole("button", { name, exact: true }).click(),
    advance: (ms) => page.evaluate(`advance(${ms})`),
  };
}

async function textOf(context: BrowserContext): Promise<string> {
  const shown: unknown = await context.pages()[0]?.evaluate("document.body.innerText");
  return `the page showed: ${JSON.stringify(shown)}`;
}
