import { describe, expect, it } from "vitest";
import { App, type AppOptions, type Origins, WebSocketHandler } from "../../../src/index.js";
import { startWith } from "../../support/app.js";
import { answerTo, rawClient, upgradeRequest } from "../../support/raw.js";

class Echo extends WebSocketHandler {
  onMessage(text: string) {
    this.sendText(text);
  }
}

const silent = { warn: () => undefined, error: () => undefined };

/** The status of the answer to a page of `origin` that connects to `host`. */
async function statusOf(options: AppOptions, origin: string, host: string): Promise<string> {
  const { port } = await startWith("/x", Echo, { logger: silent, ...options });
  const client = await rawClient(port);
  client.socket.write(upgradeRequest("/x", { Host: host, Origin: origin }), "utf8");
  await client.received("\r\n\r\n");
  client.socket.destroy();
  return (await client.ended).toString("latin1").slice(9, 12);
}

const forged: [origin: string, host: string][] = [
  ["https://evil.com@example.com", "example.com"],
  ["https://example.com:x@example.com", "example.com"],
  ["https://example.com/", "example.com"],
  ["https://example.com/path", "example.com"],
  ["https://example.com?query", "example.com"],
  ["https://example.com#fragment", "example.com"],
  ["https://EXAMPLE.com", "example.com"],
  ["HTTPS://example.com", "example.com"],
  ["https://example.com:443", "example.com"],
  ["https://exa\tmple.com", "example.com"],
  ["https:example.com", "example.com"],
  ["https:\\\\example.com", "example.com"],
  ["https:///example.com", "example.com"],
  ["https://example.com%2e", "example.com"],
  ["https://ex%61mple.com", "example.com"],
  ["http://2130706433", "127.0.0.1"],
  ["http://0x7f.1", "127.0.0.1"],
  ["http://[0:0:0:0:0:0:0:1]", "[::1]"],
  ["https://bücher.example", "xn--bcher-kva.example"],
  ["https://example.com, https://example.com", "example.com"],
  ["null, https://example.com", "example.com"],
  ["example.com", "example.com"],
  ["//example.com", "example.com"],
];

const lists: Origins[] = [
  "same-host",
  "*",
  (origin) => origin.endsWith("example.com"),
  ["https://example.com", "http://127.0.0.1", "http://[::1]", "https://xn--bcher-kva.example"],
];

describe("an origin that no browser sends", () => {
  it.each(forged)("(%j to %s) is refused, with every form of origins", async (origin, host) => {
    for (const origins of lists) expect(await statusOf({ origins }, origin, host)).toBe("403");
  });

  it("is logged without advice to allow it", async () => {
    const warnings: string[] = [];
    const logger = { warn: (message: string) => warnings.push(message), error: () => undefined };
    await statusOf({ logger }, "https://evil.com@example.com", "example.com");
    expect(warnings).toEqual([
      'enfilade: refused a client whose Origin is "https://evil.com@example.com": no browser sends it in this form',
    ]);
  });

  it("cannot be configured", () => {
    for (const origin of ["https://evil.com@example.com", "https://example.com/path", "https://example.com?x"]) {
      const build = () => new App({ origins: [origin] }).route("/x", Echo);
      expect(build).toThrow(expect.objectContaining({ code: "ERR_OPTION" }));
    }
  });

  it.each(["Origin", "ORIGIN"])("is refused if a request has two, the second one as %s", async (name) => {
    const { port } = await startWith("/x", Echo, { origins: "*" });
    const request = upgradeRequest("/x", { Origin: "https://example.com" });
    const answer = await answerTo(port, request.replace(/\r\n\r\n$/, `\r\n${name}: https://example.com\r\n\r\n`));
    expect(answer).toMatch(/^HTTP\/1.1 400 .*More than one Origin$/s);
  });
});

describe("the origin of a page on the same host", () => {
  it.each([
    ["https://example.com", "example.com", "101"],
    ["http://example.com", "example.com", "101"],
    ["https://example.com", "example.com:443", "101"],
    ["http://example.com", "example.com:80", "101"],
    ["http://example.com", "example.com:443", "403"],
    ["https://example.com:8443", "example.com:8443", "101"],
    ["https://example.com", "example.com:8443", "403"],
    ["http://[::1]:8000", "[::1]:8000", "101"],
    ["https://xn--bcher-kva.example", "xn--bcher-kva.example", "101"],
    ["https://example.com", "EXAMPLE.com", "403"],
    ["https://example.com", "example.com.", "403"],
    ["https://example.com.", "example.com", "403"],
    ["ftp://example.com", "example.com", "403"],
    ["chrome-extension://example.com", "example.com", "403"],
  ])("(%s to %s) is answered with %s", async (origin, host, status) => {
    expect(await statusOf({}, origin, host)).toBe(status);
  });

  it("of a browser extension or an app passes where origins allow it", async () => {
    const extension = "chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb";
    expect(await statusOf({ origins: [extension] }, extension, "example.com")).toBe("101");
    for (const origin of [extension, "capacitor://localhost", "file://", "null"]) {
      expect(await statusOf({ origins: "*" }, origin, "example.com")).toBe("101");
    }
  });
});
