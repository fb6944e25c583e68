import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { command } from "../support/parts.js";
import { type Conversation, type ForeignClient, Inbox, Refusal } from "./client.js";

/** Events from client.py. */
type PythonEvent =
  | { readonly event: "open"; readonly protocol: string }
  | { readonly event: "refused"; readonly status: number }
  | { readonly event: "text"; readonly text: string }
  | { readonly event: "binary"; readonly base64: string }
  | { readonly event: "pong" }
  | { readonly event: "closed"; readonly code: number; readonly reason: string };

const script = fileURLToPath(new URL("client.py", import.meta.url));

export const pythonClient: ForeignClient = {
  name: "python3-websockets",
  showsStatus: true,
  connect(url, protocols = []) {
    const child = spawn(command("python"), [script, url, ...protocols]);
    onTestFinished(() => void child.kill("SIGKILL"));
    child.stderr.pipe(process.stderr);
    return new PythonConversation(child).opened;
  },
};

class PythonConversation implements Conversation {
  readonly inbox = new Inbox();
  readonly opened: Promise<Conversation>;
  protocol = "";
  readonly #child: ChildProcessWithoutNullStreams;
  #pong: () => void = () => undefined;

  constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    this.opened = new Promise((resolve, reject) => {
      const lines = createInterface({ input: child.stdout });
      lines.on("line", (line) => this.#onEvent(JSON.parse(line), resolve, reject));
      child.once("exit", (code) => reject(new Error(`client.py ended with ${code}`)));
    });
  }

  sendText(text: string): void {
    this.#order({ do: "text", text });
  }

  sendBinary(bytes: Uint8Array): void {
    this.#order({ do: "binary", base64: Buffer.from(bytes).toString("base64") });
  }

  ping(): Promise<void> {
    this.#order({ do: "ping" });
    return new Promise((resolve) => {
      this.#pong = resolve;
    });
  }

  close(): void {
    this.#order({ do: "close" });
  }

  #order(order: object): void {
    this.#child.stdin.write(`${JSON.stringify(order)}\n`);
  }

  #onEvent(event: PythonEvent, resolve: (conversation: Conversation) => void, reject: (error: Error) => void): void {
    if (event.event === "open") {
      this.protocol = event.protocol;
      resolve(this);
    } else if (event.event === "refused") reject(new Refusal(event.status));
    else if (event.event === "text") this.inbox.put(event.text);
    else if (event.event === "binary") this.inbox.put(new Uint8Array(Buffer.from(event.base64, "base64")));
    else if (event.event === "pong") this.#pong();
    else this.inbox.end(event);
  }
}
