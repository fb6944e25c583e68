import { describe, expect, it } from "vitest";
import { connectURL } from "../../src/testing/index.js";
import { useBrowser } from "../support/browser.js";
import { missing } from "../support/parts.js";
import { inTab, startServer, type Tab, type TestServer } from "./support.js";

describe.skipIf(missing("chromium", "the React hooks in a browser"))("useRoom in StrictMode", () => {
  const browser = useBrowser();
  const open = (server: TestServer, scenario: string, use: (tab: Tab) => Promise<void>, expected?: RegExp) =>
    inTab(browser(), server, scenario, use, expected);

  it("opens one connection, keeps it, and calls listeners once per event", async () => {
    const server = await startServer();
    await open(server, "One", async ({ see, click }) => {
      await see("ann is open");
      await click("say as ann");
      await see("ann heard: [ann]");
      await click("say as ann");
      await see("ann heard: [ann ann]");
      expect(server.upgrades).toEqual(["/chat/a"]);
      expect(server.closed.all).toEqual([]);
    });
  });

  it("closes the connection a second after the last component has unmounted", async () => {
    const server = await startServer();
    await open(server, "One", async ({ see, click, advance }) => {
      await see("ann is open");
      await click("hide ann");
      await advance(999);
      expect(server.app.registry.room("/chat/a").size).toBe(1);
      await advance(1);
      expect(await server.closed.have(1)).toEqual(["/chat/a"]);
      await click("show ann");
      await see("ann is open");
      expect(server.upgrades).toHaveLength(2);
    });
  });

  it("keeps the connection when a component mounts within that second", async () => {
    const server = await startServer();
    await open(server, "One", async ({ see, click, advance }) => {
      await see("ann is open");
      await click("hide ann");
      await advance(999);
      await click("show ann");
      await see("ann is open");
      await advance(10_000);
      await click("say as ann");
      await see("ann heard: [ann]");
      expect(server.upgrades).toHaveLength(1);
    });
  });

  it("shares one connection among components with the same URL and key, until the last unmounts", async () => {
    const server = await startServer();
    await open(server, "Several", async ({ see, click, advance }) => {
      for (const name of ["ann", "bob", "eve"]) await see(`${name} is open`);
      await click("say as ann");
      for (const name of ["ann", "bob", "eve"]) await see(`${name} heard: [ann]`);
      expect(server.upgrades).toHaveLength(2);
      await click("hide ann");
      await advance(10_000);
      await click("say as bob");
      await see("bob heard: [ann bob]");
      expect(server.closed.all).toEqual([]);
      await click("hide bob");
      await advance(1_000);
      await server.closed.have(1);
      await click("say as eve");
      await see("eve heard: [ann bob eve]");
      expect(server.closed.all).toHaveLength(1);
    });
  });

  it("moves to the room of another URL, and has none without a URL", async () => {
    const server = await startServer();
    await open(server, "Moving", async ({ see, click, advance }) => {
      await see("ann is idle");
      expect(server.upgrades).toEqual([]);
      await click("to a");
      await see("ann is open");
      expect(await server.opened.have(1)).toEqual(["/chat/a"]);
      await click("to b");
      expect(await server.opened.have(2)).toEqual(["/chat/a", "/chat/b"]);
      await see("ann is open");
      await advance(1_000);
      expect(await server.closed.have(1)).toEqual(["/chat/a"]);
      await click("say as ann");
      await see("ann heard: [ann]");
      await click("to none");
      await see("ann is idle");
      await advance(1_000);
      expect(await server.closed.have(2)).toEqual(["/chat/a", "/chat/b"]);
      expect(server.upgrades).toEqual(["/chat/a", "/chat/b"]);
    });
  });

  it("is not connected while an Activity hides the component", async () => {
    const server = await startServer();
    await open(server, "Hidden", async ({ see, click, advance }) => {
      await see("ann is open");
      await click("hide");
      await advance(1_000);
      await server.closed.have(1);
      await click("show");
      await server.opened.have(2);
      await see("ann is open");
      await click("say as ann");
      await see("ann heard: [ann]");
    });
  });

  it("calls the token function of the last render, and does not reconnect for a new function", async () => {
    const server = await startServer();
    await open(server, "Token", async ({ see, click, advance }) => {
      await see("open with 1, status none");
      await click("count");
      await see("open with 2, status none");
      expect(server.upgrades).toHaveLength(1);
      await server.app.registry.room("/chat/a").close(4000, "restart");
      await see("waiting with 2, status none");
      await advance(30_000);
      await see("open with 2, status none");
      expect(await server.opened.have(2)).toEqual(["/chat/a token-1", "/chat/a token-2"]);
    });
  });

  it("calls the token function of a component that is still mounted", async () => {
    const server = await startServer();
    await open(server, "Tokens", async ({ see, click, advance }) => {
      await see("first is open");
      await click("hide second");
      await server.app.registry.room("/chat/a").close(4000, "restart");
      await see("first is waiting");
      await advance(30_000);
      await see("first is open");
      expect((await server.opened.have(2))[1]).toBe("/chat/a first");
    });
  });

  it("opens a new connection for a component that mounts after the room was closed for good", async () => {
    const server = await startServer();
    await open(server, "One", async ({ see, click }) => {
      await see("ann is open");
      await server.app.registry.room("/chat/a").close(3000, "over");
      await see("ann is closed");
      await click("hide ann");
      await click("show ann");
      await see("ann is open");
      expect(server.upgrades).toHaveLength(2);
    });
  });

  it("shows a refusal, and connects again by reconnect()", async () => {
    const server = await startServer();
    server.refused.add("token-1");
    await open(
      server,
      "Token",
      async ({ see, click }) => {
        await see("closed with 1, status 401");
        await click("count");
        await see("closed with 2, status 401");
        expect(server.upgrades).toHaveLength(1);
        await click("reconnect");
        await see("open with 2, status none");
        await click("reconnect");
        expect(await server.opened.have(1)).toEqual(["/chat/a token-2"]);
        expect(server.upgrades).toHaveLength(2);
      },
      /ConnectError/,
    );
  });

  it("opens another connection for another token that is a text", async () => {
    const server = await startServer();
    await open(server, "TextToken", async ({ see, click, advance }) => {
      await see("ann is open");
      await click("as bob");
      await see("bob is open");
      await advance(1_000);
      await server.closed.have(1);
      expect(server.opened.all).toEqual(["/chat/a ann", "/chat/a bob"]);
    });
  });

  it("gives the nearest error boundary a clear error for a wrong URL or an unknown option", async () => {
    const server = await startServer();
    await open(
      server,
      "Mistakes",
      async ({ page }) => {
        await page.getByText("TypeError: connect takes ws, wss, http or https, got ftp:").waitFor();
        await page.getByText('useRoom() has no option "lingerMS"; did you mean "lingerMs"?').waitFor();
        expect(server.upgrades).toEqual([]);
      },
      /ftp:|lingerMS|<Wrong>/,
    );
  });
});

describe.skipIf(missing("chromium", "the React hooks in a browser"))("the hooks with a room", () => {
  const browser = useBrowser();
  const open = (server: TestServer, scenario: string, use: (tab: Tab) => Promise<void>, expected?: RegExp) =>
    inTab(browser(), server, scenario, use, expected);

  it("useMessages and useEvent call the listener of the last render, and add one listener each", async () => {
    const server = await startServer();
    await open(server, "Latest", async ({ see, click }) => {
      await see("open, count 0, added 2");
      await click("say");
      await see('message: {"event":"said","data":"hello"} at 0');
      await see("event: hello at 0");
      await click("count");
      await see("open, count 1, added 2");
      await click("say");
      await see('message: {"event":"said","data":"hello"} at 1');
      await see("event: hello at 1");
      await see("open, count 1, added 2");
    });
  });

  it("usePresence renders with each change of the users, and not with messages", async () => {
    const server = await startServer();
    await open(server, "Presence", async ({ page, see }) => {
      await page.getByText("1 users: ann;").waitFor();
      const before = await page.getByText("1 users: ann;").innerText();
      server.app.registry.room("/chat/a").sendText("hello");
      await see("1 messages");
      expect(await page.getByText("1 users: ann;").innerText()).toBe(before);
      const bob = await connectURL(`${server.origin}/chat/a`, { headers: { authorization: "Bearer bob" } });
      await page.getByText("2 users: ann bob;").waitFor();
      await bob.close();
      await page.getByText("1 users: ann;").waitFor();
    });
  });

  it("useResync loads after the first connection and after a loss", async () => {
    const server = await startServer();
    await open(server, "Resync", async ({ see, advance }) => {
      await see("open: loaded 1");
      await server.app.registry.room("/chat/a").close(4000, "restart");
      await see("waiting: loaded 1");
      await advance(30_000);
      await see("open: loaded 2");
    });
  });
});
