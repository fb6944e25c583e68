import { describe, expect, it } from "vitest";
import { App, type AppOptions, anonymous, HttpError, WebSocketHandler } from "../../../src/index.js";
import { connect, ManualClock, type TestClient } from "../../../src/testing/index.js";
import { closes, Mailbox, start } from "../../support/app.js";

class Echo extends WebSocketHandler {
  onMessage(text: string) {
    this.sendText(text);
  }
}

class Named extends Echo {
  override authorize() {
    const id = this.query.get("id");
    return id === null ? anonymous : { id };
  }
}

const v1 = { protocols: ["enfilade.v1"] };

/** An app behind a proxy, and a function that connects from an address. */
function behindProxy(options: AppOptions) {
  const app = new App({ trustProxy: 1, ...options }).route("/x", Echo);
  const from = (address: string) => connect(app, "/x", { headers: { "x-forwarded-for": address } });
  const statusFrom = (address: string) =>
    from(address).then(
      () => 101,
      (error: unknown) => (error instanceof HttpError ? error.status : error),
    );
  return { app, from, statusFrom };
}

describe("connectsPerSecondMax", () => {
  it("refuses an address past its rate with 429 and Retry-After, and no other one", async () => {
    const clock = new ManualClock();
    const { from, statusFrom } = behindProxy({ clock, limits: { connectsPerSecondMax: 2 } });
    expect([await statusFrom("192.0.2.1"), await statusFrom("192.0.2.1")]).toEqual([101, 101]);
    await expect(from("192.0.2.1")).rejects.toMatchObject({
      status: 429,
      headers: { "retry-after": "1" },
      message: "Too many connects from this address",
    });
    expect(await statusFrom("192.0.2.2")).toBe(101);
    clock.advance(500);
    expect([await statusFrom("192.0.2.1"), await statusFrom("192.0.2.1")]).toEqual([101, 429]);
    clock.advance(10_000);
    const statuses = [await statusFrom("192.0.2.1"), await statusFrom("192.0.2.1"), await statusFrom("192.0.2.1")];
    expect(statuses).toEqual([101, 101, 429]);
  });

  it("counts refused requests too, such as those without a route", async () => {
    const app = new App({ clock: new ManualClock(), limits: { connectsPerSecondMax: 2, heartbeatMs: false } });
    const statuses = Array.from({ length: 3 }, () => connect(app, "/nowhere").catch(({ status }) => status));
    expect(await Promise.all(statuses)).toEqual([404, 404, 429]);
  });

  it("counts an IPv6 address as its /64, and an IPv4-mapped one as IPv4", async () => {
    const { statusFrom } = behindProxy({ clock: new ManualClock(), limits: { connectsPerSecondMax: 1 } });
    expect(await statusFrom("2001:db8::1")).toBe(101);
    expect(await statusFrom("2001:db8:0:0:ffff:ffff:ffff:ffff")).toBe(429);
    expect(await statusFrom("2001:db8:0:1::1")).toBe(101);
    expect(await statusFrom("2001:db8:0:1:1:1:1:1")).toBe(429);
    expect(await statusFrom("::1")).toBe(101);
    expect(await statusFrom("::5.6.7.8")).toBe(429);
    expect(await statusFrom("::ffff:192.0.2.1")).toBe(101);
    expect(await statusFrom("192.0.2.1")).toBe(429);
    expect(await statusFrom("::ffff:c000:0202")).toBe(101);
    expect(await statusFrom("192.0.2.2")).toBe(429);
  });

  it("knows at most connectAddressesMax addresses, those of the last seconds", async () => {
    const limits = { connectsPerSecondMax: 1, connectAddressesMax: 4 };
    const { statusFrom } = behindProxy({ clock: new ManualClock(), limits });
    expect([await statusFrom("192.0.2.1"), await statusFrom("192.0.2.1")]).toEqual([101, 429]);
    for (let n = 0; n < 4; n += 1) expect(await statusFrom(`198.51.100.${n}`)).toBe(101);
    // Forgotten by now, so it may connect again.
    expect(await statusFrom("192.0.2.1")).toBe(101);
  });
});

describe("connectionsPerAddressMax", () => {
  it("counts an IPv6 address as its /64, until one disconnects", async () => {
    const { app, from, statusFrom } = behindProxy({ limits: { connectionsPerAddressMax: 1 } });
    const first = await from("2001:db8::1");
    expect(await statusFrom("2001:db8::2")).toBe(429);
    expect(await statusFrom("2001:db8:0:1::2")).toBe(101);
    const closed = closes(app, 1);
    await first.close();
    await closed;
    expect(await statusFrom("2001:db8::2")).toBe(101);
  });
});

describe("connectionsPerUserMax", () => {
  const limits = { connectionsPerUserMax: 2 };
  const connected = (app: App, id: string, more: object = {}): Promise<TestClient> => connect(app, `/x?id=${id}`, more);

  it("refuses a further connection of the user: with 429, or with 4009 for enfilade.v1", async () => {
    await using app = new App({ limits }).route("/x", Named);
    const [first] = [await connected(app, "ann"), await connected(app, "ann", v1)];
    await expect(connected(app, "ann")).rejects.toMatchObject({
      status: 429,
      message: "Too many connections of this user",
    });
    const third = await connected(app, "ann", v1);
    expect(await third.closed).toMatchObject({ code: 4009, reason: "too many connections" });
    expect(app.status()).toMatchObject({ connections: 2, totals: { opened: 2, refused: 2 } });
    await connected(app, "bob");
    await Promise.all([connect(app, "/x"), connect(app, "/x"), connect(app, "/x")]);
    await first.close();
    await connected(app, "ann");
  });

  it("does not count connections that are closing", async () => {
    class Slow extends Named {
      override onClose() {
        return new Promise(() => undefined);
      }
    }
    await using app = new App({ limits: { ...limits, closeMs: 100 } }).route("/x", Slow);
    await connected(app, "ann");
    await connected(app, "ann");
    for (const connection of app.registry.connections) connection.close(4400);
    await connected(app, "ann");
  });

  it("closes the oldest connection with 4009, where userOverflow says so", async () => {
    await using app = new App({ limits, userOverflow: "closeOldest" }).route("/x", Named);
    const clients = [await connected(app, "ann"), await connected(app, "ann"), await connected(app, "ann")];
    expect(await clients[0]?.closed).toMatchObject({ code: 4009, reason: "too many connections" });
    expect(app.status().connections).toBe(2);
    clients[1]?.sendText("still here");
    expect(await clients[1]?.readText()).toBe("still here");
  });

  it("has an option with two values", () => {
    const options = { userOverflow: "close" } as unknown as AppOptions;
    expect(() => new App(options)).toThrow(
      expect.objectContaining({ code: "ERR_OPTION", message: expect.stringContaining('"closeOldest"') }),
    );
  });
});

describe("authorizeMax", () => {
  function gated() {
    const asked = new Mailbox<() => void>();
    class Waits extends Echo {
      override authorize() {
        return new Promise<typeof anonymous>((resolve) => asked.put(() => resolve(anonymous)));
      }
    }
    return { asked, Waits };
  }

  it("refuses a client with 503 and Retry-After while as many calls of authorize have not settled", async () => {
    const { asked, Waits } = gated();
    const { app, open } = await start(new App({ limits: { authorizeMax: 2 } }).route("/x", Waits).route("/y", Echo));
    const opening = [open("/x"), open("/x")];
    await asked.have(2);
    await expect(open("/x")).rejects.toMatchObject({
      status: 503,
      headers: { "retry-after": "1" },
      message: "Too many handshakes at once",
    });
    await open("/y");
    for (const answer of asked.all) answer();
    await Promise.all(opening);
    const next = open("/x");
    (await asked.have(3))[2]?.();
    await next;
    expect(app.status()).toMatchObject({ connections: 4, handshakes: 0 });
  });

  it("counts a call no more after authorizeMs, so that a hanging one does not keep its place", async () => {
    const clock = new ManualClock();
    const { asked, Waits } = gated();
    await using app = new App({ clock, limits: { authorizeMax: 1 } }).route("/x", Waits);
    const first = connect(app, "/x").catch(({ status, message }) => [status, message]);
    await asked.have(1);
    clock.advance(5_000);
    expect(await first).toEqual([503, "Authorization took too long"]);
    const second = connect(app, "/x");
    (await asked.have(2))[1]?.();
    await second;
  });
});
