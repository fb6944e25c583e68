import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished } from "vitest";
import { launchBrowser } from "../support/browser.js";
import { type Site, startSite, type Visitor } from "./site.js";

export interface TabOptions {
  /** Whether the browser may report problems on its console, such as a server that is away. Default: `false`. */
  readonly isNoisy?: boolean;
}

/** One browser and one site for all tests of a file. A test fails if the console of one of its tabs has a problem. */
export class Tabs {
  readonly #site: Promise<Site>;
  #browser: Browser | undefined;

  /** Call it within `describe`. */
  static ofFile(start: () => Promise<Site> = startSite): Tabs {
    const tabs = new Tabs(start);
    beforeAll(async () => {
      tabs.#browser = await launchBrowser();
    });
    afterAll(async () => {
      await tabs.#browser?.close();
      await (await tabs.#site).stop();
    });
    return tabs;
  }

  private constructor(start: () => Promise<Site>) {
    this.#site = start();
  }

  site(): Promise<Site> {
    return this.#site;
  }

  /** A tab in a browser of its own, without a session. */
  async open(url: string, options: TabOptions = {}): Promise<Page> {
    const page = await (await this.#newContext()).newPage();
    watch(page, options);
    await page.goto(url);
    return page;
  }

  /** A tab of a new person on a page of the shared site. */
  async visit(path: string, name: string): Promise<{ page: Page; who: Visitor }> {
    const site = await this.#site;
    const who = site.visitor(name);
    return { page: await this.openAs(site.url, path, who), who };
  }

  /** A tab of a person; resolves when the page is connected. */
  async openAs(url: string, path: string, { session }: Visitor, options: TabOptions = {}): Promise<Page> {
    const context = await this.#newContext();
    await context.addCookies([{ name: "session", value: session, url, httpOnly: true, sameSite: "Lax" }]);
    const page = await context.newPage();
    watch(page, options);
    await page.goto(url + path);
    // The list of channels and the page "API" have no connection.
    if (!["/", "/asyncapi"].includes(path)) await connected(page).waitFor();
    return page;
  }

  async #newContext(): Promise<BrowserContext> {
    if (this.#browser === undefined) throw new Error("the browser has not started");
    const context = await this.#browser.newContext();
    // Shorter than the time of a test, so that a failure names the element that did not come.
    context.setDefaultTimeout(15_000);
    onTestFinished(() => context.close());
    return context;
  }
}

export const connected = (page: Page) => page.getByText("connected", { exact: true });

function watch(page: Page, { isNoisy = false }: TabOptions): void {
  const problems: string[] = [];
  page.on("console", (message) => /error|warning/.test(message.type()) && problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("dialog", (dialog) => problems.push(`a dialog: ${dialog.message()}`));
  onTestFinished(() => {
    if (!isNoisy) expect(problems).toEqual([]);
  });
}
