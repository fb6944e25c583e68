import { Response as UndiciResponse } from "undici";
import { describe, expect, it } from "vitest";
import {
  App,
  type AppOptions,
  type Authorized,
  anonymous,
  type ConnectionRequest,
  HttpError,
  type Scope,
  type ScopeOptions,
  WebSocketHandler,
} from "../../src/index.js";
import { ManualClock, type TestClient } from "../../src/testing/index.js";
import { Mailbox, start, startWith } from "../support/app.js";
import { answerTo, rawClient, upgradeRequest } from "../support/raw.js";
import { StallingClock } from "../support/stallingClock.js";

/** A handler whose `authorize` is `decide`. */
function handlerWith(decide: (query: URLSearchParams) => unknown) {
  return class Gated extends WebSocketHandler {
    override authorize() {
      // JavaScript code can return anything.
      return decide(this.query) as Authorized<unknown>;
    }
    override onConnect() {
      this.sendJSON({ user: this.user ?? null });
    }
    onMessage(text: string) {
      this.sendText(text);
    }
  };
}

class Echo extends WebSocketHandler {
  onMessage(text: string) {
    this.sendText(text);
  }
}

describe("authorize", () => {
  it.each([
    ["HttpError", () => Promise.reject(new HttpError(403, "members only", { headers: { "x-why": "1" } })), 403],
    ["a plain HttpError", () => Promise.reject(new HttpError(418)), 418],
    ["a Response", () => new Response("moved", { status: 307, headers: { location: "/b", "set-cookie": "a=b" } }), 307],
  ])("refuses with the status and body of %s", async (_name, decide, status) => {
    const { open, errors, app } = await startWith("/x", handlerWith(decide));
    const refused = await open("/x").catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(HttpError);
    expect(refused).toMatchObject({ status });
    expect(errors).toEqual([]);
    expect(app.status()).toMatchObject({ connections: 0, handshakes: 0, totals: { refused: 1 } });
  });

  it("answers with a whole HTTP response, and ends the connection", async () => {
    const Members = handlerWith(
      () => new Response("moved", { status: 307, headers: { location: "/b", "set-cookie": "a=b" } }),
    );
    const { port } = await startWith("/x", Members);
    const answer = await answerTo(port, upgradeRequest("/x"));
    const [head = "", body] = answer.split("\r\n\r\n");
    expect(head.split("\r\n")[0]).toBe("HTTP/1.1 307 Temporary Redirect");
    expect(head.toLowerCase()).toMatch(/location: \/b/);
    expect(head.toLowerCase()).toMatch(/set-cookie: a=b/);
    expect(head.toLowerCase()).toMatch(/content-length: 5/);
    expect(head.toLowerCase()).toMatch(/connection: close/);
    expect(body).toBe("moved");
  });

  it("accepts with its result as the user, also after some time", async () => {
    const { open, app } = await startWith(
      "/x",
      handlerWith(async (query) => ({ id: query.get("as") ?? "?", since: 1 })),
    );
    const client = await open("/x?as=ann");
    expect(await client.readJSON()).toEqual({ user: { id: "ann", since: 1 } });
    expect(app.registry.user("ann").size).toBe(1);
  });

  it("refuses with 503 past authorizeMs, and ignores a later result", async () => {
    const clock = new ManualClock();
    const asked = new Mailbox<() => void>();
    const Slow = handlerWith(() => new Promise((resolve) => asked.put(() => resolve({ id: "late" }))));
    const { open, app } = await startWith("/x", Slow, { clock, limits: { authorizeMs: 300 } });
    const opening = open("/x").catch((error: unknown) => error);
    const [answer] = await asked.have(1);
    expect(app.status()).toMatchObject({ handshakes: 1, connections: 0 });
    clock.advance(300);
    expect(await opening).toMatchObject({ status: 503, message: "Authorization took too long" });
    answer?.();
    await new Promise((resolve) => setImmediate(resolve));
    expect(app.status()).toMatchObject({ handshakes: 0, connections: 0, rooms: 0, totals: { opened: 0 } });
  });

  it("does not refuse for time in which this process was blocked", async () => {
    const clock = new StallingClock();
    const asked = new Mailbox<() => void>();
    const Slow = handlerWith(() => new Promise((resolve) => asked.put(() => resolve({ id: "ann" }))));
    const { open } = await startWith("/x", Slow, { clock, limits: { authorizeMs: 300 } });
    const opening = open("/x").catch((error: unknown) => error);
    const [answer] = await asked.have(1);
    await clock.stall(70_000);
    answer?.();
    const client = await opening;
    expect(client).not.toBeInstanceOf(Error);
    // Checked above.
    expect(await (client as TestClient).readJSON()).toMatchObject({ user: { id: "ann" } });
  });

  it("survives a client that resets the connection meanwhile, and aborts this.signal", async () => {
    const reported = new Mailbox<unknown>();
    class Waits extends WebSocketHandler {
      override async authorize() {
        reported.put("asked");
        await new Promise((resolve) => this.signal.addEventListener("abort", resolve));
        reported.put("aborted");
        return { id: "ann" };
      }
      override onConnect() {
        reported.put("connected");
      }
      override onClose() {
        reported.put("closed");
      }
      onMessage() {
        reported.put("message");
      }
    }
    const { port, app, errors } = await startWith("/x", Waits);
    const client = await rawClient(port);
    client.socket.write(upgradeRequest("/x"));
    await reported.have(1);
    client.socket.resetAndDestroy();
    expect(await reported.have(2)).toEqual(["asked", "aborted"]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(app.status()).toMatchObject({ connections: 0, handshakes: 0, totals: { opened: 0 } });
    expect([reported.all, errors]).toEqual([["asked", "aborted"], []]);
  });

  const mistakes = [undefined, null, false, "", 0, Number.NaN, 0n, new HttpError(401), new Error("no")];

  it.each(mistakes)("answers 500 to %s, which is not a user, with a hint", async (answer) => {
    const { open, errors, app } = await startWith(
      "/x",
      handlerWith(async () => answer),
    );
    await expect(open("/x")).rejects.toMatchObject({ status: 500, message: "Internal Server Error" });
    const came = answer instanceof Error ? `a ${answer.name}` : answer === "" ? "an empty string" : String(answer);
    const message =
      `authorize of Gated returned ${came}: return a user, or \`anonymous\` to accept the client without one; ` +
      "throw HttpError(401) to refuse";
    expect(errors).toMatchObject([{ code: "ERR_USER", message }]);
    expect(app.status().totals.opened).toBe(0);
  });

  it.each([() => anonymous, async () => anonymous])(
    "accepts without a user if it returns anonymous",
    async (decide) => {
      const { open, app, errors } = await startWith("/x", handlerWith(decide));
      const client = await open("/x");
      expect(await client.readJSON()).toEqual({ user: null });
      expect([app.status().users, errors]).toEqual([0, []]);
    },
  );

  it("treats a Response of another realm as a refusal too", async () => {
    const { open } = await startWith(
      "/x",
      handlerWith(() => new UndiciResponse("no", { status: 403 })),
    );
    await expect(open("/x")).rejects.toMatchObject({ status: 403, message: "no" });
  });

  it("is not called for a request that is not a handshake", async () => {
    let asked = 0;
    const Counting = handlerWith(() => {
      asked += 1;
      return anonymous;
    });
    const { port } = await startWith("/x", Counting);
    await answerTo(port, upgradeRequest("/x", {}, "POST"));
    await answerTo(port, upgradeRequest("/x", { "Sec-WebSocket-Version": "12" }));
    await answerTo(port, upgradeRequest("/x", { "Sec-WebSocket-Key": "x" }));
    expect(asked).toBe(0);
  });

  it("aborts this.signal when its time is over", async () => {
    const clock = new ManualClock();
    const signals = new Mailbox<AbortSignal>();
    class Hangs extends Echo {
      override authorize() {
        signals.put(this.signal);
        return new Promise<never>(() => undefined);
      }
    }
    const { open } = await startWith("/x", Hangs, { clock });
    const opening = open("/x").catch((error: unknown) => error);
    const [signal] = await signals.have(1);
    clock.advance(5_000);
    expect(await opening).toMatchObject({ status: 503 });
    expect(signal?.aborted).toBe(true);
  });

  it("answers 500 to a user whose id is not a string or a number, and reports that to the app", async () => {
    const { open, errors } = await startWith(
      "/x",
      handlerWith(() => ({ id: true })),
    );
    await expect(open("/x")).rejects.toMatchObject({ status: 500, message: "Internal Server Error" });
    expect(errors).toMatchObject([{ code: "ERR_USER", message: expect.stringContaining("make it a string") }]);
  });

  it("answers 500 if it refuses with a header that HTTP does not allow", async () => {
    const Bad = handlerWith(() => Promise.reject(new HttpError(403, "no", { headers: { "x-bad": "a\r\nx: b" } })));
    const { port, errors } = await startWith("/x", Bad);
    expect(await answerTo(port, upgradeRequest("/x"))).toMatch(/^HTTP\/1.1 500 /);
    expect(errors).toHaveLength(1);
  });

  it("is called for the scopes first, from the outermost in", async () => {
    const reported: string[] = [];
    const asks = (name: string, answer: object): ScopeOptions => ({
      authorize: (request) => {
        reported.push(`${name} ${request.path}`);
        if (request.query.get("refuse") === name) throw new HttpError(402, name);
        return answer;
      },
    });
    const Own = handlerWith((query) => {
      reported.push("handler");
      return query.has("own") ? { id: "own" } : anonymous;
    });
    const app = new App().scope(
      "/api",
      (api) => api.scope("/v1", (v1) => v1.route("/x", Own), asks("inner", { id: "inner" })),
      asks("outer", { id: "outer" }),
    );
    const { open } = await start(app);
    expect(await (await open("/api/v1/x")).readJSON()).toEqual({ user: { id: "inner" } });
    expect(await (await open("/api/v1/x?own")).readJSON()).toEqual({ user: { id: "own" } });
    await expect(open("/api/v1/x?refuse=outer")).rejects.toMatchObject({ status: 402, message: "outer" });
    expect(reported.slice(-1)).toEqual(["outer /api/v1/x"]);
    expect(reported.slice(0, 3)).toEqual(["outer /api/v1/x", "inner /api/v1/x", "handler"]);
  });

  it("may be set for the whole app, and is then called before all others", async () => {
    const asked: string[] = [];
    const authorize = ({ query, path }: ConnectionRequest) => {
      asked.push(`app ${path}`);
      if (query.has("refuse")) throw new HttpError(401, "not you");
      return { id: "ann" };
    };
    const Own = handlerWith(() => {
      asked.push("handler");
      return anonymous;
    });
    class Open extends Echo {}
    const app = new App({ authorize }).route("/own", Own).route("/open", Open);
    const scoped = () => {
      asked.push("scope");
      return { id: "bob" };
    };
    app.scope("/in", (inner) => inner.route("/x", Own), { authorize: scoped });
    const { open } = await start(app);
    expect(await (await open("/own")).readJSON()).toEqual({ user: { id: "ann" } });
    expect(await (await open("/in/x")).readJSON()).toEqual({ user: { id: "bob" } });
    await expect(open("/open?refuse")).rejects.toMatchObject({ status: 401, message: "not you" });
    expect(asked).toEqual(["app /own", "handler", "app /in/x", "scope", "handler", "app /open"]);
  });

  it("of the app and of a scope is named in the error about its result", async () => {
    // JavaScript code can return nothing.
    const nothing = (() => undefined) as unknown as () => object;
    const build = (scope: Scope<"/a">) => scope.route("/x", Echo);
    const whole = await start(new App({ authorize: nothing }).route("/x", Echo));
    const part = await start(new App().scope("/a", build, { authorize: nothing }));
    await expect(whole.open("/x")).rejects.toMatchObject({ status: 500 });
    await expect(part.open("/a/x")).rejects.toMatchObject({ status: 500 });
    expect(whole.errors).toMatchObject([
      { message: expect.stringContaining("authorize of the app returned undefined") },
    ]);
    expect(part.errors).toMatchObject([
      { message: expect.stringContaining('authorize of the scope "/a" returned undefined') },
    ]);
  });

  it("has to be a function", () => {
    const options = { authorize: true } as unknown as AppOptions;
    expect(() => new App(options)).toThrow(
      expect.objectContaining({ code: "ERR_OPTION", message: "authorize of the app takes a function, got boolean" }),
    );
  });
});

describe("the origin of a page", () => {
  const host = "chat.example:8080";
  async function statusFor(options: AppOptions, origin: string | undefined): Promise<string> {
    const { port } = await startWith("/x", Echo, options);
    const client = await rawClient(port);
    client.socket.write(upgradeRequest("/x", { Host: host, Origin: origin }));
    await client.received("\r\n\r\n");
    client.socket.destroy();
    return (await client.ended).toString("latin1").slice(9, 12);
  }

  it.each([
    ["none, so no browser", undefined, "101"],
    ["the same host", "http://chat.example:8080", "101"],
    ["the same host in capital letters, as no browser sends it", "http://CHAT.example:8080", "403"],
    ["another port", "http://chat.example", "403"],
    ["another host", "https://evil.example:8080", "403"],
    ["a host that begins alike", "http://chat.example:8080.evil.example", "403"],
    ["null, as from a sandbox", "null", "403"],
    ["nonsense", "http://", "403"],
    ["another scheme", "file://chat.example:8080", "403"],
  ])("that is %s is answered correctly by default", async (_name, origin, status) => {
    expect(await statusFor({}, origin)).toBe(status);
  });

  it("is named in the log when it is refused, once", async () => {
    const warnings: string[] = [];
    const logger = { warn: (message: string) => warnings.push(message), error: () => undefined };
    const { port } = await startWith("/x", Echo, { logger });
    for (const origin of ["http://localhost:5173", "http://localhost:5173", "https://evil.example"]) {
      await answerTo(port, upgradeRequest("/x", { Origin: origin }));
    }
    expect(warnings).toEqual([
      expect.stringContaining('to allow it, set origins: ["http://localhost:5173"]'),
      expect.stringContaining('"https://evil.example"'),
    ]);
  });

  it("may be on a list, be decided by a function, or be ignored", async () => {
    expect(await statusFor({ origins: ["https://app.example/"] }, "https://app.example")).toBe("101");
    expect(await statusFor({ origins: ["https://app.example"] }, `http://${host}`)).toBe("403");
    expect(await statusFor({ origins: (origin) => origin.endsWith(".example") }, "https://b.example")).toBe("101");
    const later = async () => true;
    expect(await statusFor({ origins: later as unknown as () => boolean }, "https://b.example")).toBe("403");
    expect(await statusFor({ origins: "*" }, "https://evil.test")).toBe("101");
    expect(await statusFor({ origins: "*" }, "null")).toBe("101");
  });

  it.each([["example.com"], [7], [["example.com"]], [["localhost:5173"]], [["https://*.example.com"]], [["*"]]])(
    "cannot be configured as %j",
    (origins) => {
      expect(() => new App({ origins: origins as unknown as readonly string[] }).route("/x", Echo)).toThrow(
        expect.objectContaining({ code: "ERR_OPTION", message: expect.stringContaining("https://example.com") }),
      );
    },
  );
});

describe("subprotocols", () => {
  it("are chosen by the server's preference, and unknown ones are never echoed", async () => {
    const { open } = await startWith("/x", Echo, { subprotocols: ["chat.v2", "chat.v1"] });
    expect((await open("/x", { protocols: ["other", "chat.v1", "chat.v2"] })).protocol).toBe("chat.v2");
    expect((await open("/x", { protocols: [] })).protocol).toBe("");
    const { port } = await startWith("/x", Echo);
    const client = await rawClient(port);
    client.socket.write(upgradeRequest("/x", { "Sec-WebSocket-Protocol": "secret-token, chat" }));
    await client.received("\r\n\r\n");
    client.socket.destroy();
    const answer = (await client.ended).toString("latin1").toLowerCase();
    expect(answer).toMatch(/^http\/1.1 101/);
    expect(answer).not.toMatch(/sec-websocket-protocol|secret-token/);
  });
});

describe("limits of connections", () => {
  it("refuse past connectionsMax with 503, past connectionsPerAddressMax with 429, until one disconnects", async () => {
    const all = await startWith("/x", Echo, { limits: { connectionsMax: 1 } });
    const first = await all.open("/x");
    await expect(all.open("/x")).rejects.toMatchObject({ status: 503, headers: { "retry-after": "5" } });
    const gone = new Promise((resolve) => all.app.on("close", resolve));
    first.terminate();
    await gone;
    await new Promise((resolve) => setImmediate(resolve));
    expect((await all.open("/x")).protocol).toBe("");
    const each = await startWith("/x", Echo, { limits: { connectionsPerAddressMax: 1 } });
    await each.open("/x");
    await expect(each.open("/x")).rejects.toMatchObject({ status: 429 });
  });

  it("release the place when the client has disconnected, for any duration of onClose", async () => {
    class Slow extends Echo {
      override onClose() {
        return new Promise(() => undefined);
      }
    }
    const { open } = await startWith("/x", Slow, { limits: { connectionsMax: 1 } });
    const first = await open("/x");
    await first.close();
    const second = await open("/x").catch(() => open("/x"));
    expect(second.protocol).toBe("");
  });

  it("also hold for handshakes that end at the same time", async () => {
    const released = new Mailbox<() => void>();
    class Waits extends Echo {
      override authorize() {
        return new Promise<typeof anonymous>((resolve) => released.put(() => resolve(anonymous)));
      }
    }
    const { open, app } = await startWith("/x/:n", Waits, { limits: { roomsMax: 3 } });
    const opening = Array.from({ length: 10 }, (_, n) => open(`/x/${n}`).catch((error: unknown) => error));
    for (const release of await released.have(10)) release();
    const results = await Promise.all(opening);
    expect(results.filter((result) => result instanceof HttpError && result.status === 503)).toHaveLength(7);
    expect(app.status().rooms).toBe(3);
  });

  it("disconnect a client that does not finish its request within handshakeMs", async () => {
    const { port } = await startWith("/x", Echo, { limits: { handshakeMs: 100 } });
    const answer = await answerTo(port, upgradeRequest("/x").slice(0, 40));
    expect(answer).toMatch(/^HTTP\/1.1 408 /);
  });
});
