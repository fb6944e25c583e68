import { deferred } from "../../connection/clock.js";
import { meaningOf, messageOf } from "../failure.js";
import type { Sockets, WebSocket } from "../socket.js";
import { visibleJSON } from "../text.js";
import type { Content, Ending, Link } from "./link.js";
import type { Screen } from "./screen.js";
import { Unanswered } from "./unanswered.js";

export interface PlainLinkOptions {
  readonly url: URL;
  readonly sockets: Sockets;
  readonly screen: Screen;
  /** True to show messages as JSON. */
  readonly isJSON: boolean;
}

/** One WebSocket without `enfilade.v1`. It ends with its connection, and a server answers nothing. */
export class PlainLink implements Link {
  readonly opened: Promise<unknown>;
  readonly ended: Promise<Ending>;
  readonly failures = 0;
  readonly #socket: WebSocket;
  readonly #unsent = new Unanswered();

  constructor({ url, sockets, screen, isJSON }: PlainLinkOptions) {
    const [opened, ended] = [deferred<void>(), deferred<Ending>()];
    this.opened = opened.promise;
    this.ended = ended.promise;
    this.#socket = sockets.open(url.href);
    let failure = "";
    this.#socket.on("open", () => {
      screen.note("connected, without enfilade.v1");
      opened.resolve();
    });
    this.#socket.on("error", (error) => {
      failure = meaningOf(messageOf(error));
    });
    this.#socket.on("message", (data: Buffer, isBinary) => {
      screen.message({ tag: "", text: isBinary ? bytesOf(data, isJSON) : textOf(data.toString(), isJSON) });
    });
    this.#socket.on("close", (code, reason) => {
      ended.resolve({ isNormal: code === 1000, text: `${code} ${String(reason) || failure}`.trim() });
    });
  }

  get unanswered(): number {
    return this.#unsent.count;
  }

  send(content: Content): void {
    this.#unsent.add();
    // If it fails, the link ends, and reports the lines that were not sent.
    void this.opened.then(() => this.#socket.send(frameOf(content), (error) => error ?? this.#unsent.settle(1)));
  }

  whenAtMost(count: number): Promise<void> {
    return this.#unsent.whenAtMost(count);
  }

  close(): void {
    this.#socket.close(1000);
  }
}

/** An event has the form of `jsonEvents`, the default. */
function frameOf(content: Content): string {
  if ("text" in content) return content.text;
  return JSON.stringify("json" in content ? content.json : content);
}

function textOf(text: string, isJSON: boolean): string {
  if (!isJSON) return text;
  try {
    return visibleJSON(JSON.parse(text));
  } catch {
    return visibleJSON(text);
  }
}

function bytesOf(data: Buffer, isJSON: boolean): string {
  const base64 = data.toString("base64");
  return isJSON ? visibleJSON({ base64 }) : `${data.length} bytes: ${base64}`;
}
