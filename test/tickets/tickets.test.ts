import { createSecretKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { SignJWT } from "jose";
import { describe, expect, it } from "vitest";
import { App, type ConnectionRequest, HttpError, WebSocketHandler } from "../../src/index.js";
import { connect } from "../../src/testing/index.js";
import { type Tickets, type TicketsOptions, tickets } from "../../src/tickets/index.js";
import { startWith } from "../support/app.js";

interface Person {
  readonly id: string;
}

const secret = randomBytes(32);
const origin = "https://example.com";
const general = { user: { id: "ann" }, path: "/chat/general", origin };
const used = { status: 401, message: "The ticket is not valid" };

function handlerFor(chat: Tickets<Person>) {
  return class Chat extends WebSocketHandler<{ channel: string }, Person> {
    override authorize(request: ConnectionRequest) {
      return chat.verify(request);
    }
    onMessage() {
      this.sendJSON(this.user);
    }
  };
}

/** An app whose clients show tickets, and a function that shows one. */
function appOf(options: Partial<TicketsOptions> = {}) {
  const chat = tickets<Person>({ secret, ...options });
  const app = new App({ origins: "*" }).route("/chat/:channel", handlerFor(chat));
  const show = async (ticket: string, path = "/chat/general", headers: Record<string, string> = { origin }) => {
    const client = await connect(app, path, { headers: { authorization: `Bearer ${ticket}`, ...headers } });
    client.sendText("who am I?");
    return client.readJSON();
  };
  return { chat, app, show };
}

describe("a ticket", () => {
  it("connects its user once", async () => {
    const { chat, show } = appOf();
    const ticket = await chat.issue(general);
    expect(await show(ticket)).toEqual({ id: "ann" });
    await expect(show(ticket)).rejects.toMatchObject(used);
    expect(await show(await chat.issue(general))).toEqual({ id: "ann" });
  });

  it("is accepted once also when it is shown many times at the same moment", async () => {
    const { chat, show } = appOf();
    const ticket = await chat.issue(general);
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => show(ticket)));
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  it("is the token of a client of enfilade.v1, over the network", async () => {
    const chat = tickets<Person>({ secret });
    const { open } = await startWith("/chat/:channel", handlerFor(chat), { origins: [origin] });
    const ticket = await chat.issue(general);
    const protocols = ["enfilade.v1", `enfilade.token.${Buffer.from(ticket).toString("base64url")}`];
    const client = await open("/chat/general", { protocols, headers: { origin } });
    expect(await client.readJSON()).toMatchObject({ type: "welcome" });
    const again = await open("/chat/general", { protocols, headers: { origin } });
    expect(await again.closed).toMatchObject({ code: 4501, reason: "The ticket is not valid" });
  });

  it.each<[string, path: string, headers: Record<string, string>]>([
    ["another path", "/chat/other", { origin }],
    ["another origin", "/chat/general", { origin: "https://evil.example" }],
    ["no origin", "/chat/general", {}],
  ])("is refused for %s, and used up by that", async (_name, path, headers) => {
    const { chat, show } = appOf();
    const ticket = await chat.issue(general);
    await expect(show(ticket, path, headers)).rejects.toMatchObject(used);
    await expect(show(ticket)).rejects.toMatchObject(used);
  });

  it("without an origin is for clients that are no page", async () => {
    const { chat, show } = appOf();
    await expect(show(await chat.issue({ ...general, origin: undefined }))).rejects.toMatchObject(used);
    expect(await show(await chat.issue({ ...general, origin: undefined }), "/chat/general", {})).toEqual({ id: "ann" });
  });

  it("is bound to the canonical path", async () => {
    const { chat, show } = appOf();
    expect(await show(await chat.issue({ ...general, path: "/chat/Zürich/" }), "/chat/Zürich")).toEqual({ id: "ann" });
  });

  it("expires after ttlMs and a few seconds for the clocks of other nodes, and can never be used again", async () => {
    let now = 1_700_000_000_000;
    const { chat, show } = appOf({ now: () => now, usedTicketsMax: 2 });
    const [first, second, third] = [await chat.issue(general), await chat.issue(general), await chat.issue(general)];
    now += 34_000;
    expect(await show(first)).toEqual({ id: "ann" });
    now += 2_000;
    for (const ticket of [first, second, third]) await expect(show(ticket)).rejects.toMatchObject(used);
    const early = await chat.issue(general);
    now -= 60_000;
    await expect(show(early)).rejects.toMatchObject(used);
  });

  it("is refused with 503 if no more used ones can be remembered, until some have expired", async () => {
    let now = 1_700_000_000_000;
    const { chat, show } = appOf({ now: () => now, usedTicketsMax: 2 });
    for (let n = 0; n < 2; n += 1) await show(await chat.issue(general));
    const full = { status: 503, headers: { "retry-after": "5" } };
    await expect(show(await chat.issue(general))).rejects.toMatchObject(full);
    now += 36_000;
    expect(await show(await chat.issue(general))).toEqual({ id: "ann" });
  });

  it("is accepted once by all nodes that share claim, and refused with 503 if that fails", async () => {
    const claimed = new Map<string, number>();
    const claim = async (id: string, ms: number) => {
      if (claimed.has(id)) return false;
      claimed.set(id, ms);
      return true;
    };
    const [one, other] = [appOf({ claim }), appOf({ claim })];
    const ticket = await one.chat.issue(general);
    expect(await other.show(ticket)).toEqual({ id: "ann" });
    await expect(one.show(ticket)).rejects.toMatchObject(used);
    expect([...claimed.values()][0]).toBeGreaterThan(0);
    expect([...claimed.values()][0]).toBeLessThanOrEqual(35_000);
    const failing = appOf({ claim: () => Promise.reject(new Error("redis is away")) });
    await expect(failing.show(ticket)).rejects.toMatchObject({ status: 503 });
    // JavaScript code can return anything; only `true` accepts.
    const truthy = appOf({ claim: (() => "OK") as unknown as () => boolean });
    await expect(truthy.show(await one.chat.issue(general))).rejects.toMatchObject(used);
  });
});

describe("a token that is no ticket of this app", () => {
  const key = createSecretKey(secret);
  const now = Math.floor(Date.now() / 1_000);
  const claims = { path: "/chat/general", origin, user: { id: "eve" }, jti: "1", iss: "enfilade", iat: now };
  const typ = "enfilade-ticket+jwt";
  const signed = (payload: object, header: object = {}, by = key) =>
    new SignJWT({ ...claims, exp: now + 30, ...payload }).setProtectedHeader({ alg: "HS256", typ, ...header }).sign(by);

  it("is valid with exactly the claims of a ticket", async () => {
    expect(await appOf().show(await signed({}))).toEqual({ id: "eve" });
  });

  const base64 = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

  it.each<[string, () => string | Promise<string>]>([
    ["text", () => "ticket"],
    ["unsigned", () => `${base64({ alg: "none", typ })}.${base64({ ...claims, exp: now + 30 })}.`],
    ["signed by another secret", () => signed({}, {}, createSecretKey(randomBytes(32)))],
    ["another kind of JWT", () => signed({}, { typ: "JWT" })],
    ["of another issuer", () => signed({ iss: "other" })],
    ["valid for too long", () => signed({ iat: now - 60, exp: now + 3_600 })],
    ["expired", () => signed({ exp: now - 10 })],
    ["of the future", () => signed({ iat: now + 60 })],
    ["without an id", () => signed({ jti: undefined })],
    ["without a path", () => signed({ path: undefined })],
    ["without an end", () => signed({ exp: undefined })],
    ["without a user", () => signed({ user: undefined })],
  ])("(%s) is refused with a fixed phrase", async (_name, make) => {
    await expect(appOf().show(await make())).rejects.toMatchObject(used);
  });

  it("is refused if the same secret signed it by another algorithm", async () => {
    const long = randomBytes(64);
    const { show } = appOf({ secret: long });
    expect(await show(await signed({}, {}, createSecretKey(long)))).toEqual({ id: "eve" });
    await expect(show(await signed({ jti: "2" }, { alg: "HS512" }, createSecretKey(long)))).rejects.toMatchObject(used);
  });

  it("is refused with another phrase if there is none", async () => {
    const { app } = appOf();
    const refused = await connect(app, "/chat/general").catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(HttpError);
    expect(refused).toMatchObject({ status: 401, message: "A ticket is required" });
  });
});

describe("keys of tickets", () => {
  it.each(["ed25519", "p256"])("may be a pair of %s: the public one verifies, and cannot issue", async (name) => {
    const pair =
      name === "p256" ? generateKeyPairSync("ec", { namedCurve: "prime256v1" }) : generateKeyPairSync("ed25519");
    const [issuer, verifier] = [pair.privateKey, pair.publicKey].map((key) => appOf({ secret: undefined, key }));
    const ticket = await issuer?.chat.issue(general);
    expect(await verifier?.show(ticket ?? "")).toEqual({ id: "ann" });
    expect(await issuer?.show(ticket ?? "")).toEqual({ id: "ann" });
    await expect(verifier?.chat.issue(general)).rejects.toMatchObject({ code: "ERR_OPTION" });
  });

  it.each<[string, object]>([
    ["neither secret nor key", {}],
    ["both", { secret, key: createSecretKey(secret) }],
    ["a short secret", { secret: "sesame-open" }],
    ["a secret that is none", { secret: 7 }],
    ["a secret key", { key: createSecretKey(secret) }],
    ["an RSA key", { key: generateKeyPairSync("rsa", { modulusLength: 2_048 }).privateKey }],
    ["another curve", { key: generateKeyPairSync("ec", { namedCurve: "secp384r1" }).privateKey }],
    ["an empty issuer", { secret, issuer: "" }],
    ["no time", { secret, ttlMs: 0 }],
    ["no memory", { secret, usedTicketsMax: 0 }],
    ["a claim that is no function", { secret, claim: true }],
    ["an unknown option", { secret, ttl: 30 }],
  ])("cannot be %s", (_name, options) => {
    const build = () => tickets(options);
    expect(build).toThrow(expect.objectContaining({ code: "ERR_OPTION" }));
    expect(build).not.toThrow(/sesame/);
  });

  it("refuse to issue for a wrong origin, a wrong path, or a user that JSON cannot express", async () => {
    const { chat } = appOf();
    const withOrigin = (wrong: string) => chat.issue({ ...general, origin: wrong });
    await expect(withOrigin("https://example.com/")).rejects.toMatchObject({ code: "ERR_OPTION" });
    await expect(chat.issue({ ...general, path: "chat" })).rejects.toMatchObject({ code: "ERR_PATH" });
    const noUser = { ...general, user: undefined as unknown as Person };
    await expect(chat.issue(noUser)).rejects.toMatchObject({ code: "ERR_VALUE" });
  });
});
