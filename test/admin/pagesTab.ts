import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { expect } from "vitest";
import type { AdminOptions } from "../../src/admin/index.js";
import { type AdminApp, normal } from "./support.js";

const cookie = "operator=olga";

/** Options of an admin whose operator has a cookie, as a browser sends it. */
export const forBrowsers: Partial<AdminOptions> = {
  authorize: (request) => (request.headers.cookie === cookie ? "olga" : normal.authorize(request)),
};

export interface TabOptions extends BrowserContextOptions {
  /** The calls that the server refuses, as the browser reports them. */
  readonly refusals?: RegExp;
}

/** Opens a page of the admin as an operator, uses it, and checks that the browser had nothing to report. */
export async function inTab(
  browser: Browser,
  admin: AdminApp,
  hash: string,
  use: (page: Page) => Promise<void>,
  { refusals, ...options }: TabOptions = {},
): Promise<void> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  context.setDefaultTimeout(10_000);
  const problems: string[] = [];
  try {
    const [name = "", value = ""] = cookie.split("=");
    await context.addCookies([{ name, value, url: admin.origin }]);
    const page = await context.newPage();
    page.on("console", (message) => problems.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => problems.push(error.message));
    page.on("dialog", (dialog) => problems.push(dialog.message()));
    page.on("request", (request) => {
      const { origin, protocol } = new URL(request.url());
      if (origin !== admin.origin && protocol !== "blob:") problems.push(`a request to ${request.url()}`);
    });
    await page.goto(`${admin.origin}/admin${hash}`);
    await page.getByText("connected", { exact: true }).waitFor();
    await use(page);
  } catch (error) {
    // The page may have said why.
    throw new Error([String(error), ...problems].join("\n"), { cause: error });
  } finally {
    await context.close();
  }
  expect(problems.filter((problem) => !refusals?.test(problem))).toEqual([]);
}

/** The text of each cell in a column of the table with this name. */
export function columnOf(page: Page, table: string, column: number): Promise<string[]> {
  return page.getByRole("table", { name: table }).locator(`tbody tr > :nth-child(${column})`).allTextContents();
}
