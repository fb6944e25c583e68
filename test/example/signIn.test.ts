import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import Provider from "oidc-provider";
import { describe, expect, it, onTestFinished } from "vitest";
import { SignedValue } from "../../example-app/sign-in/signedValue.js";
import { missing } from "../support/parts.js";
import { connectWith, type Site, startSite } from "./site.js";
import { connected, Tabs } from "./tabs.js";

const secret = "a secret of tests, 32 characters or more";

/** Starts a site for one test. */
async function start(options: Parameters<typeof startSite>[0], port = 0): Promise<Site> {
  const site = await startSite({ secret, ...options }, port);
  onTestFinished(() => site.stop());
  return site;
}

function signIn({ url }: Site, body: unknown): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return fetch(`${url}/sign-in`, { method: "POST", headers, body: JSON.stringify(body) });
}

describe("the sign-in by name", () => {
  it("gives a signed cookie that no script can read, and that other sites cannot use", async () => {
    const response = await signIn(await start({}), { name: " Ann ", next: "/todos?a=b" });
    expect(await response.json()).toEqual({ next: "/todos?a=b" });
    const cookie = response.headers.get("set-cookie");
    expect(cookie).toMatch(/^session=[\w-]+\.[\w-]{43}; Path=\/; Max-Age=28800; HttpOnly; SameSite=Lax$/);
  });

  it.each([undefined, "", " ", "x".repeat(33), "a\nb", "\u202eAnn", 7])("refuses the name %o", async (name) => {
    const response = await signIn(await start({}), { name });
    expect(await response.json()).toEqual({ error: expect.stringMatching(/^A name has /) });
    expect(response.headers.get("set-cookie")).toBeNull();
  });

  it.each(["//evil.example", "/\\evil.example", "https://evil.example/", "javascript:alert(1)", "todos", "", 7, null])(
    "leads to the first page, not to %o",
    async (next) => {
      expect(await (await signIn(await start({}), { name: "Ann", next })).json()).toEqual({ next: "/" });
    },
  );

  it("limits the attempts of one address, good and bad ones", async () => {
    const site = await start({ signInsPerMinuteMax: 3 });
    for (const name of ["Ann", "", "Bob"]) expect((await signIn(site, { name })).status).toBe(200);
    const refused = await signIn(site, { name: "Cy" });
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(refused.headers.get("set-cookie")).toBeNull();
  });

  it("accepts no cookie that is changed, too old, or signed for another purpose or with another secret", async () => {
    const site = await start({});
    const { session, ...person } = site.visitor("Ann");
    const [content = "", mac = ""] = session.split(".");
    const forged = Buffer.from(JSON.stringify({ value: { ...person, id: "eve" }, expiresAtMs: 9e15 }));
    const cookies = [
      "",
      "no cookie",
      content,
      `${forged.toString("base64url")}.${mac}`,
      `${content}.${mac.slice(1)}`,
      new SignedValue(secret, "sign-in").sign(person, 60_000),
      new SignedValue(`${secret}!`, "session").sign(person, 60_000),
      new SignedValue(secret, "session").sign(person, 0),
    ];
    for (const cookie of cookies) {
      const headers = { cookie: `session=${cookie}` };
      expect((await fetch(`${site.url}/api/me`, { headers })).status, cookie).toBe(401);
      await expect(connectWith(site.url, "/chat/general", cookie), cookie).rejects.toMatchObject({ status: 401 });
    }
    expect(await (await site.call({ ...person, session }, "GET", "/me")).json()).toEqual(person);
  });

  it("closes connections when the session ends", async () => {
    const site = await start({});
    const session = new SignedValue(secret, "session").sign({ id: "ann", name: "Ann" }, 1_000);
    const ann = await connectWith(site.url, "/chat/general", session);
    expect(await ann.closed).toMatchObject({ code: 4501, reason: "the session has ended" });
  });

  it("refuses a secret that is too short, and changes that another site asks for", async () => {
    await expect(startSite({ secret: "x".repeat(31) })).rejects.toThrow("at least 32 characters, got 31");
    const site = await start({});
    const cookie = `session=${site.visitor("Ann").session}`;
    const headers = { cookie, "sec-fetch-site": "cross-site" };
    expect((await fetch(`${site.url}/sign-out`, { method: "POST", headers })).status).toBe(403);
  });
});

describe.skipIf(missing("chromium", "the sign-in of the example"))("the sign-in page", () => {
  const tabs = Tabs.ofFile();

  it("asks for a name, says what is wrong with it, and leads to the page that was asked for", async () => {
    const { url } = await tabs.site();
    const page = await tabs.open(`${url}/c/after-sign-in`);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").getByText("A name has 1 to 32 characters.").waitFor();
    await page.getByLabel("Your name").fill("<b>Ann</b>");
    await page.keyboard.press("Enter");
    await connected(page).waitFor();
    expect(page.url()).toBe(`${url}/c/after-sign-in`);
    await page.getByRole("banner").getByText("<b>Ann</b>", { exact: true }).waitFor();
    expect(await page.evaluate("document.cookie")).toBe("");
  });

  it("signs in with OpenID Connect, and refuses an answer that this browser did not ask for", async () => {
    const { provider, site } = await startWithProvider();
    // The pages of the provider load fonts that are not there.
    const page = await tabs.open(`${site.url}/todos`, { isNoisy: true });
    await page.getByRole("link", { name: "Sign in with your account" }).click();
    // The provider's own pages: its sign-in for development takes any name, and then asks for consent.
    await page.getByPlaceholder("Enter any login").fill("ann");
    await page.getByPlaceholder("and password").fill("secret");
    const asked = new URL(provider.asked()).searchParams;
    expect(Object.fromEntries(asked)).toMatchObject({ code_challenge_method: "S256", response_type: "code" });
    for (const name of ["state", "nonce", "code_challenge"]) expect(asked.get(name), name).toMatch(/^[\w-]{43}$/);
    await page.getByRole("button", { name: "Sign-in" }).click();
    const returned = page.waitForRequest(/sign-in\/callback/);
    await page.getByRole("button", { name: "Continue" }).click();
    await connected(page).waitFor();
    expect(page.url()).toBe(`${site.url}/todos`);
    await page.getByRole("banner").getByText("Ann <b>Lee</b>", { exact: true }).waitFor();

    // Another browser has no state for this answer, and this one has used it.
    const answer = (await returned).url();
    const other = await tabs.open(answer);
    await page.goto(answer);
    for (const tab of [other, page]) await tab.getByText("The sign-in did not succeed. Try again.").waitFor();
    const check = { verifier: "v".repeat(43), state: "of this browser", nonce: "n", next: "/" };
    const cookie = `sign-in=${new SignedValue(secret, "sign-in").sign(check, 60_000)}`;
    const { headers } = await fetch(answer, { headers: { cookie }, redirect: "manual" });
    expect(headers.get("location")).toBe("/sign-in?failed");
    expect(headers.get("set-cookie")).toBeNull();
    // The code of an answer with another state does not reach the provider.
    expect(provider.paths().filter((path) => path === "/token")).toHaveLength(1);
    expect((await signIn(site, { name: "Eve" })).status).toBe(404);
  });
});

/** A site whose people sign in at a provider in this process, with one account for each login. */
async function startWithProvider() {
  const asked: string[] = [];
  // The provider has to know the URL of the site, and the site that of the provider.
  const first = await startSite({ secret });
  const port = Number(new URL(first.url).port);
  await first.stop();
  const clientId = "example";
  const clientSecret = "a secret of the client";
  const server = createServer().listen(0);
  await once(server, "listening");
  const issuer = `http://localhost:${(server.address() as AddressInfo).port}`;
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: clientId,
        client_secret: clientSecret,
        redirect_uris: [`http://localhost:${port}/sign-in/callback`],
      },
    ],
    claims: { openid: ["sub"], profile: ["name"] },
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id, name: "Ann <b>Lee</b>" }) }),
    cookies: { keys: ["a key of tests"] },
    pkce: { required: () => true },
  });
  const answer = provider.callback();
  server.on("request", (request, response) => {
    asked.push(issuer + request.url);
    answer(request, response);
  });
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const site = await start({ provider: { issuer, clientId, clientSecret } }, port);
  const paths = () => asked.map((url) => new URL(url).pathname);
  return { provider: { paths, asked: () => asked.find((url) => url.includes("/auth?")) ?? "" }, site };
}
