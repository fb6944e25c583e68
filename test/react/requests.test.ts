import { describe, expect, it } from "vitest";
import { useBrowser } from "../support/browser.js";
import { missing } from "../support/parts.js";
import { inTab, startServer, type Tab, type TestServer } from "./support.js";

describe.skipIf(missing("chromium", "the React hooks in a browser"))("useRequest", () => {
  const browser = useBrowser();
  const open = (server: TestServer, use: (tab: Tab) => Promise<void>) => inTab(browser(), server, "Requests", use);

  it("is pending until the reply, keeps the reply during the next request, and resets", async () => {
    const server = await startServer();
    await open(server, async ({ see, click }) => {
      await see("the room is open");
      await see("slow: idle, data none, error none");
      await click("send one");
      await see("slow: pending, data none, error none");
      await server.slow.have(1);
      server.reply("one");
      await see("slow: idle, data reply to one, error none");
      await click("send two");
      await see("slow: pending, data reply to one, error none");
      await server.slow.have(2);
      server.reply("two");
      await see("slow: idle, data reply to two, error none");
      await see("reported: [reply to one, reply to two]");
      await click("reset");
      await see("slow: idle, data none, error none");
    });
  });

  it("shows the error of the server; a caller may ignore the promise", async () => {
    const server = await startServer();
    await open(server, async ({ see, click }) => {
      await see("the room is open");
      await click("fail");
      await see("fail: idle, code no_luck");
    });
  });

  it("shows the outcome of the last request, whichever is answered first", async () => {
    const server = await startServer();
    await open(server, async ({ see, click }) => {
      await see("the room is open");
      await click("send one");
      await server.slow.have(1);
      await click("send two");
      server.reply("one");
      await see("reported: [reply to one]");
      await see("slow: pending, data none, error none");
      await server.slow.have(2);
      server.reply("two");
      await see("slow: idle, data reply to two, error none");
    });
  });

  it("shows an error until the next request, and keeps the last reply beside it", async () => {
    const server = await startServer();
    await open(server, async ({ see, click, advance }) => {
      await see("the room is open");
      await click("send one");
      await server.slow.have(1);
      server.reply("one");
      await see("slow: idle, data reply to one, error none");
      await click("send two");
      await server.slow.have(2);
      await advance(10_000);
      await see("slow: idle, data reply to one, error no reply within 10000 ms");
      await click("send one");
      await see("slow: pending, data reply to one, error none");
    });
  });

  it("ignores the outcome of a request after reset(), and its promise still settles", async () => {
    const server = await startServer();
    await open(server, async ({ see, click }) => {
      await see("the room is open");
      await click("send one");
      await server.slow.have(1);
      await click("reset");
      await see("slow: idle, data none, error none");
      server.reply("one");
      await see("reported: [reply to one]");
      await see("slow: idle, data none, error none");
    });
  });

  it("sends the request of a component that unmounts, whose promise still settles", async () => {
    const server = await startServer();
    await open(server, async ({ see, click }) => {
      await see("the room is open");
      await click("send one");
      await server.slow.have(1);
      await click("hide slow");
      server.reply("one");
      await see("reported: [reply to one]");
      await click("show slow");
      await see("slow: idle, data none, error none");
    });
  });

  it("starts again with another room, and ignores the outcome of the room before", async () => {
    const server = await startServer();
    await open(server, async ({ see, click }) => {
      await see("the room is open");
      await click("send one");
      await server.slow.have(1);
      await click("to b");
      await server.opened.have(2);
      await see("the room is open");
      await see("slow: idle, data none, error none");
      server.reply("one");
      await see("reported: [reply to one]");
      await see("slow: idle, data none, error none");
    });
  });

  it("rejects with closed while there is no room", async () => {
    const server = await startServer();
    await open(server, async ({ see, click }) => {
      await click("to none");
      await see("the room is idle");
      await click("send one");
      await see('slow: idle, data none, error no room to send "slow" to; wait until useRoom returns one');
      expect(server.slow.all).toEqual([]);
    });
  });
});
