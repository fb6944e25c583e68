import { describe, expect, it } from "vitest";
import { App, type AppOptions, type TrustProxy, WebSocketHandler } from "../../../src/index.js";
import { connect } from "../../../src/testing/index.js";
import { startWith } from "../../support/app.js";

class Source extends WebSocketHandler {
  override onConnect() {
    const { remoteAddress, secure, host } = this.request;
    this.sendJSON([remoteAddress, secure, host]);
  }
  onMessage() {
    this.close();
  }
}

type Headers = Readonly<Record<string, string>>;
type Found = readonly [remoteAddress: string, secure: boolean, host: string];

/** The source of a request that 127.0.0.1 sends with these headers. */
async function sourceOf(trustProxy: TrustProxy | undefined, headers: Headers): Promise<unknown> {
  const { open } = await startWith("/x", Source, { trustProxy });
  return (await open("/x", { headers: { host: "inner:8000", ...headers } })).readJSON();
}

const client: Found = ["192.0.2.7", false, "inner:8000"];
const proxy: Found = ["127.0.0.1", false, "inner:8000"];
const tls: Found = ["192.0.2.7", true, "example.com"];
const v6: Found = ["2001:db8::1", false, "inner:8000"];
const xff = (value: string) => ({ "x-forwarded-for": value });
const forwarded = (value: string) => ({ forwarded: value });

describe("trustProxy", () => {
  it.each<[name: string, headers: Headers]>([
    ["X-Forwarded-For", { ...xff("192.0.2.7"), "x-forwarded-proto": "https", "x-forwarded-host": "evil.example" }],
    ["Forwarded", forwarded("for=192.0.2.7;proto=https;host=evil.example")],
  ])("is off by default: %s changes nothing", async (_name, headers) => {
    for (const trustProxy of [undefined, false, 0] as const) expect(await sourceOf(trustProxy, headers)).toEqual(proxy);
    expect(await sourceOf(["10.0.0.0/8"], headers)).toEqual(proxy);
  });

  it.each<[trust: TrustProxy, headers: Headers, source: Found]>([
    [1, xff("192.0.2.7"), client],
    [1, xff("6.6.6.6, 192.0.2.7"), client],
    [1, xff("6.6.6.6,7.7.7.7 ,\t192.0.2.7"), client],
    [2, xff("6.6.6.6, 192.0.2.7, 10.0.0.1"), client],
    [2, xff("192.0.2.7"), client],
    [9, xff("192.0.2.7, 10.0.0.1"), client],
    [["127.0.0.1"], xff("6.6.6.6, 192.0.2.7"), client],
    [["127.0.0.1"], xff("6.6.6.6, 192.0.2.7, 127.0.0.1"), client],
    [["127.0.0.0/8", "10.0.0.0/8"], xff("6.6.6.6, 192.0.2.7, 10.9.8.7"), client],
    [["127.0.0.1", "2001:db8:1::/48"], xff("192.0.2.7, 2001:db8:1::5"), client],
    [["127.0.0.1"], xff("192.0.2.7, 127.0.0.1, ::ffff:127.0.0.1"), client],
    [1, xff("192.0.2.7:4711"), client],
    [1, xff("::ffff:192.0.2.7"), client],
    [1, xff("::FFFF:c000:207"), client],
    [1, xff("2001:DB8:0::1"), v6],
    [1, xff("[2001:db8::1]:4711"), v6],
    [1, forwarded("for=192.0.2.7"), client],
    [1, forwarded('FOR="192.0.2.7:4711"'), client],
    [1, forwarded('for=6.6.6.6, for="192.0.2.7";by=_secret'), client],
    [2, forwarded('for=192.0.2.7, for="[2001:db8::9]:80";ext="a,b;c\\"d"'), client],
    [1, forwarded('for="[2001:db8::1]"'), v6],
    [1, forwarded("for=192.0.2.7;proto=https;host=example.com"), tls],
    [1, forwarded("proto=https;for=6.6.6.6;host=evil.example, for=192.0.2.7"), client],
    [1, { ...xff("192.0.2.7"), "x-forwarded-proto": "https", "x-forwarded-host": "example.com" }, tls],
    [1, { ...xff("192.0.2.7"), "x-forwarded-proto": "http, wss", "x-forwarded-host": "b.example, example.com" }, tls],
    [2, { ...xff("192.0.2.7, 10.0.0.1"), "x-forwarded-proto": "https, http", "x-forwarded-host": "example.com" }, tls],
    [1, { ...xff("192.0.2.7"), "x-forwarded-proto": "gopher", "x-forwarded-host": "a/b" }, client],
  ])("%j with %j finds the client", async (trust, headers, source) => {
    expect(await sourceOf(trust, headers)).toEqual(source);
  });

  it.each<[trust: TrustProxy, headers: Headers, last: Found]>([
    [1, {}, proxy],
    [1, xff(""), proxy],
    [1, xff("unknown"), proxy],
    [1, xff("192.0.2.7,"), proxy],
    [1, xff("192.0.2.7, x"), proxy],
    [1, xff("192.0.2.7.1"), proxy],
    [1, xff("192.0.2.007"), proxy],
    [1, xff("192.0.2.7:x"), proxy],
    [1, xff("192.0.2.7 6.6.6.6"), proxy],
    [1, xff("[192.0.2.7]"), proxy],
    [1, xff("fe80::1%eth0"), proxy],
    [1, xff("localhost"), proxy],
    [2, xff("unknown, 192.0.2.7"), client],
    [["127.0.0.1", "192.0.2.7"], xff("6.6.6.6, x, 192.0.2.7"), client],
    [1, forwarded(""), proxy],
    [1, forwarded("for=unknown"), proxy],
    [1, forwarded("for=_hidden"), proxy],
    [1, forwarded("for=192.0.2.7,"), proxy],
    [1, forwarded("for=192.0.2.7:80"), proxy],
    [1, forwarded("for=[2001:db8::1]"), proxy],
    [1, forwarded('for="192.0.2.7'), proxy],
    [1, forwarded('for=6.6.6.6;x=", for=192.0.2.7'), proxy],
    [1, forwarded("for=6.6.6.6;for=192.0.2.7"), proxy],
    [1, forwarded("for 192.0.2.7"), proxy],
    [1, forwarded("proto=https;host=evil.example"), proxy],
    [2, forwarded("for=unknown, for=192.0.2.7"), client],
  ])("%j with %j ends at the last trusted hop", async (trust, headers, last) => {
    expect(await sourceOf(trust, headers)).toEqual(last);
  });

  it("counts only what Forwarded and X-Forwarded-For both say, since a client may have sent one of them", async () => {
    const claim = { "x-forwarded-proto": "https", "x-forwarded-host": "example.com" };
    const both = "for=192.0.2.7;proto=https;host=example.com";
    expect(await sourceOf(1, { ...xff("192.0.2.7"), ...claim, ...forwarded(both) })).toEqual(tls);
    expect(await sourceOf(1, { ...xff("192.0.2.7"), ...forwarded(both) })).toEqual(client);
    expect(await sourceOf(1, { ...xff("192.0.2.7"), ...forwarded("for=6.6.6.6") })).toEqual(proxy);
    expect(await sourceOf(1, { ...xff("192.0.2.7"), ...forwarded('for="') })).toEqual(proxy);
    expect(await sourceOf(2, { ...xff("6.6.6.6, 192.0.2.7"), ...forwarded("for=192.0.2.7") })).toEqual(client);
  });

  it("makes the host of the client the one that origins are compared with, and the URL of request.web", async () => {
    const urls: string[] = [];
    class Web extends Source {
      override authorize() {
        urls.push(this.request.web.url);
        return { id: "ann" };
      }
    }
    const { open } = await startWith("/x", Web, { trustProxy: 1 });
    const headers = { ...forwarded("for=192.0.2.7;proto=https;host=example.com"), origin: "https://example.com" };
    expect(await (await open("/x", { headers })).readJSON()).toEqual(tls);
    expect(urls).toEqual(["https://example.com/x"]);
    await expect(open("/x", { headers: { origin: "https://example.com" } })).rejects.toMatchObject({ status: 403 });
  });

  it("also holds for other transports, and for refused requests in diagnostics", async () => {
    await using app = new App({ trustProxy: 1 }).route("/x", Source);
    expect(await (await connect(app, "/x", { headers: xff("192.0.2.7") })).readJSON()).toEqual([
      "192.0.2.7",
      false,
      "localhost",
    ]);
    const refused: unknown[] = [];
    app.tap({ direction: "lifecycle" }, ({ entries }) => refused.push(...entries));
    await expect(connect(app, "/nowhere", { headers: xff("192.0.2.7") })).rejects.toMatchObject({ status: 404 });
    await new Promise((resolve) => setImmediate(resolve));
    expect(refused).toMatchObject([{ type: "refuse", request: { remoteAddress: "192.0.2.7" } }]);
  });

  it.each([true, -1, 1.5, Number.NaN, "1", "loopback", {}, null, ["x"], [1], ["10.0.0.0/33"], ["::1/129"], ["10/8"]])(
    "cannot be %j",
    (trustProxy) => {
      const options = { trustProxy } as unknown as AppOptions;
      expect(() => new App(options)).toThrow(
        expect.objectContaining({ code: "ERR_OPTION", message: expect.stringContaining('["10.0.0.0/8", "::1"]') }),
      );
    },
  );
});
