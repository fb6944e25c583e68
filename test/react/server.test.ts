import { createElement, StrictMode } from "react";
import { renderToString } from "react-dom/server";
import { describe, expect, it } from "vitest";
import { usePresence, useRequest, useRoom } from "../../src/react/index.js";
import { useBrowser } from "../support/browser.js";
import { missing } from "../support/parts.js";
import { Several } from "./page/rooms.js";
import { inTab, startServer } from "./support.js";

describe("rendering on a server", () => {
  it("opens no connection and needs no WebSocket", () => {
    const made: string[] = [];
    class WebSocket {
      constructor(url: string) {
        made.push(url);
        throw new Error("a server must not connect");
      }
      send(): void {
        made.push("sent");
      }
      close(): void {
        made.push("closed");
      }
      addEventListener(): void {
        made.push("listens");
      }
    }
    function View({ url }: { readonly url?: string }) {
      const { room, state, detail } = useRoom(url, { WebSocket, token: () => "secret" });
      const { count, users } = usePresence(room);
      const { data, error, isPending } = useRequest(room, "load");
      return JSON.stringify({ hasRoom: room !== undefined, state, detail, count, users, data, error, isPending });
    }
    const initial = { hasRoom: false, detail: {}, count: 0, users: [], isPending: false };
    const render = (url?: string) =>
      JSON.parse(renderToString(createElement(View, url === undefined ? {} : { url })).replaceAll("&quot;", '"'));
    // A relative URL has no meaning on a server.
    expect(render("/chat/a")).toEqual({ ...initial, state: "connecting" });
    expect(render()).toEqual({ ...initial, state: "idle" });
    expect(made).toEqual([]);
  });
});

describe.skipIf(missing("chromium", "the React hooks in a browser"))("hydration", () => {
  const browser = useBrowser();

  it("takes the HTML of the server without a warning, then connects once for each room", async () => {
    const html = renderToString(createElement(StrictMode, null, createElement(Several)));
    expect(html).toContain("ann<!-- --> is <!-- -->connecting");
    const server = await startServer(html);
    await inTab(browser(), server, "Several", async ({ see, click }) => {
      for (const name of ["ann", "bob", "eve"]) await see(`${name} is open`);
      await click("say as bob");
      await see("ann heard: [bob]");
      expect(server.upgrades).toEqual(["/chat/a", "/chat/a"]);
    });
  });
});
