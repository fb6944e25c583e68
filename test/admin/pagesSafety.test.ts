import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { useBrowser } from "../support/browser.js";
import { missing } from "../support/parts.js";
import { columnOf, forBrowsers, inTab } from "./pagesTab.js";
import { startAdmin } from "./support.js";

const run = "globalThis.ran=1";

/** Texts that would run a script if a page took them for markup, for a URL, for a style or for code. */
const payloads = [
  `<script>${run}</script>`,
  `</script><script>${run}</script>`,
  `<img src=x onerror=${run}>`,
  `<img src="x" onerror="${run}">`,
  `<svg onload=${run}>`,
  `<svg><script>${run}</script></svg>`,
  `<svg><animate onbegin=${run} attributeName=x>`,
  `<body onload=${run}>`,
  `<iframe srcdoc="<script>${run}</script>">`,
  `<iframe src="javascript:${run}">`,
  `<object data="javascript:${run}">`,
  `<embed src="javascript:${run}">`,
  `<a href="javascript:${run}">a</a>`,
  `<form action="javascript:${run}"><button>a</button></form>`,
  `<button formaction="javascript:${run}">a</button>`,
  `<details open ontoggle=${run}>`,
  `<input autofocus onfocus=${run}>`,
  `<select autofocus onfocus=${run}>`,
  `<textarea autofocus onfocus=${run}>`,
  `<video><source onerror=${run}></video>`,
  `<audio src=x onerror=${run}>`,
  `<marquee onstart=${run}>`,
  `<math><mi xlink:href="javascript:${run}">`,
  `<link rel=stylesheet href="data:,">`,
  `<style>*{display:none}</style>`,
  `<meta http-equiv=refresh content="0;url=javascript:${run}">`,
  `<base href="https://example.com/">`,
  `<template><img src=x onerror=${run}></template>`,
  `<noscript><img src=x onerror=${run}></noscript>`,
  `<plaintext>`,
  `<!-- ${run} -->`,
  `<![CDATA[<img src=x onerror=${run}>]]>`,
  `"><img src=x onerror=${run}>`,
  `'><img src=x onerror=${run}>`,
  `" onmouseover="${run}`,
  `' onmouseover='${run}`,
  `\` onmouseover=${run}`,
  `javascript:${run}`,
  `data:text/html,<script>${run}</script>`,
  `{{constructor.constructor('${run}')()}}`,
  `\${${run}}`,
  `#{${run}}`,
  `<%= ${run} %>`,
  `&lt;img src=x onerror=${run}&gt;`,
  `&#60;img src=x onerror=${run}&#62;`,
  `__proto__`,
  `constructor`,
  `[object Object]`,
  `%3Cimg src=x onerror=${run}%3E`,
  `\\u003cimg src=x onerror=${run}\\u003e`,
];

describe.skipIf(missing("chromium", "the safety of the admin in a browser"))("the pages of the admin", () => {
  const browser = useBrowser();

  it(`show ${payloads.length} names and messages that look like markup as text, and run none`, async () => {
    const admin = await startAdmin({ admin: forBrowsers });
    const clients = await Promise.all(
      payloads.map((payload) => admin.running.open(`/kept/a?user=${encodeURIComponent(payload)}`)),
    );
    for (const [index, payload] of payloads.entries()) clients[index]?.sendText(payload);
    for (const client of clients) for (const _payload of payloads) await client.readText();
    const ended = payloads.map((payload) => admin.running.open(`/chat/${encodeURIComponent(payload)}`));
    for (const client of await Promise.allSettled(ended)) {
      if (client.status === "fulfilled") await client.value.close(4000, "<img src=x onerror=alert(1)>");
    }
    await inTab(browser(), admin, "#/users", async (page) => {
      await page.getByText("50 users on page 1").waitFor();
      expect((await columnOf(page, "Users", 1)).sort()).toEqual([...payloads].sort());
      await visit(page, "#/connections", "50 connections on page 1");
      await visit(page, "#/room?path=/kept/a", "50 members on page 1");
      const contents = await page
        .getByRole("table", { name: /The last 50 publications/ })
        .locator("code")
        .allTextContents();
      expect(contents.sort()).toEqual([...payloads].sort());
      await visit(page, "#/departures", /entries on page 1/);
      await visit(page, `#/rooms?search=${encodeURIComponent(payloads[2] ?? "")}`, /rooms? on page 1/);
      await page.goto(`${admin.origin}/admin/#/tap?user=${encodeURIComponent(payloads[2] ?? "")}`);
      await page.getByLabel("User", { exact: true }).fill("");
      await page.getByRole("button", { name: "Start" }).click();
      const last = page.getByRole("region", { name: "Entries" }).getByText(payloads[0] ?? "", { exact: true });
      const shown = () => {
        for (const [index, payload] of payloads.entries()) clients[index]?.sendText(payload);
        return last.count();
      };
      await expect.poll(shown, { timeout: 10_000 }).toBeGreaterThan(0);
      await checkInert(page);
    });
  });

  it("show invisible characters and changes of direction in names", async () => {
    const admin = await startAdmin({ admin: forBrowsers });
    const name = "ann\u202enimda\u0000\u200b";
    await admin.running.open(`/chat/a?user=${encodeURIComponent(name)}`);
    await inTab(browser(), admin, "#/users", async (page) => {
      await page.getByText("1 user on page 1").waitFor();
      expect(await columnOf(page, "Users", 1)).toEqual(["ann\\u{202e}nimda\\u{0}\\u{200b}"]);
    });
  });

  it("are one page without inline scripts and styles, whose policy allows none", async () => {
    const admin = await startAdmin({ admin: forBrowsers });
    const response = await admin.fetch("/");
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    const html = await response.text();
    expect(html).not.toMatch(/<style|style=|\son\w+=|<script(?![^>]* src=)/);
    const script = await (await admin.fetch("/assets/app.js")).text();
    expect(script).not.toMatch(/\beval\(|new Function|"node:|\bBuffer\b/);
  });
});

/** Opens a page of the admin, waits until it shows this text, and checks that nothing has run. */
async function visit(page: Page, hash: string, text: string | RegExp): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
  await page.getByText(text).first().waitFor();
  await checkInert(page);
}

async function checkInert(page: Page): Promise<void> {
  expect(await page.evaluate("globalThis.ran")).toBeUndefined();
  const foreign =
    "script, img, svg, iframe, object, embed, style, link, base, meta, template, video, audio, [onerror], [onload]";
  expect(await page.locator("body").locator(foreign).count()).toBe(0);
  expect(await page.locator("a[href]:not([href^='#'])").count()).toBe(0);
}
