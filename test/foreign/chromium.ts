import type { Browser, Page } from "playwright-core";
import { onTestFinished } from "vitest";
import { launchBrowser } from "../support/browser.js";
import { type Conversation, type ForeignClient, Inbox, Refusal } from "./client.js";

/** Events of the page; bytes are sent as a list of numbers. */
type PageEvent =
  | { readonly event: "open"; readonly protocol: string }
  | { readonly event: "error" }
  | { readonly event: "message"; readonly data: string | readonly number[] }
  | { readonly event: "close"; readonly code: number; readonly reason: string };

/** The code that runs in the page. It is a string because Node has no types for it. */
const opens = `(url, protocols) => {
  const socket = new WebSocket(url, protocols);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => tell({ event: "open", protocol: socket.protocol });
  socket.onerror = () => tell({ event: "error" });
  socket.onclose = ({ code, reason }) => tell({ event: "close", code, reason });
  socket.onmessage = ({ data }) =>
    tell({ event: "message", data: typeof data === "string" ? data : [...new Uint8Array(data)] });
  globalThis.socket = socket;
}`;

/** Chromium, with one page per connection. */
export class ChromiumClient implements ForeignClient {
  readonly name = "Chromium";
  readonly showsStatus = false;
  #browser: Promise<Browser> | undefined;

  async connect(url: string, protocols: readonly string[] = []): Promise<Conversation> {
    return this.connectFrom(url.replace("ws:", "http:"), url, protocols);
  }

  /** Connects from a page at `pageURL`, which sends its origin. */
  async connectFrom(pageURL: string, url: string, protocols: readonly string[] = []): Promise<Conversation> {
    this.#browser ??= launchBrowser();
    const page = await (await this.#browser).newPage();
    onTestFinished(() => page.close());
    await page.goto(new URL("/", pageURL).href);
    const inbox = new Inbox();
    const opened = new Promise<string>((resolve, reject) => {
      const onEvent = (event: PageEvent) => {
        if (event.event === "open") resolve(event.protocol);
        else if (event.event === "error") reject(new Refusal(undefined));
        else if (event.event === "close") inbox.end(event);
        else inbox.put(typeof event.data === "string" ? event.data : Uint8Array.from(event.data));
      };
      const call = `(${opens})(${JSON.stringify(url)}, ${JSON.stringify(protocols)})`;
      page
        .exposeFunction("tell", onEvent)
        .then(() => page.evaluate(call))
        .catch(reject);
    });
    return conversation(page, inbox, await opened);
  }

  async quit(): Promise<void> {
    await (await this.#browser)?.close();
  }
}

function conversation(page: Page, inbox: Inbox, protocol: string): Conversation {
  const run = (code: string) => {
    // The error is reported where the test waits for the missing event.
    page.evaluate(code).catch((error) => inbox.end({ code: 1006, reason: String(error) }));
  };
  return {
    protocol,
    inbox,
    sendText: (text) => run(`socket.send(${JSON.stringify(text)})`),
    sendBinary: (bytes) => run(`socket.send(new Uint8Array(${JSON.stringify([...bytes])}))`),
    close: () => run("socket.close()"),
  };
}
