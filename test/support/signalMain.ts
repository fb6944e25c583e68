/**
 * An app in a process of its own that handles signals: `node --import tsx signalMain.ts <settings as JSON>`, with an
 * IPC channel. It reports its port, and then what happens when it ends.
 */
import { App, type SignalOptions, WebSocketHandler } from "../../src/index.js";

export interface SignalSettings {
  readonly options: SignalOptions;
  /** The hook that never ends, or `onClosed` that throws. */
  readonly fault?: "onClose" | "onClosed" | "onMessage";
  /** Whether the listeners are removed again. */
  readonly isRemoved?: boolean;
}

export type SignalReport =
  | { readonly kind: "port"; readonly port: number }
  | { readonly kind: "closed"; readonly hooks: number; readonly state: string; readonly ready: boolean };

// The parent wrote the text that JSON.parse reads here.
const { options, fault, isRemoved } = JSON.parse(process.argv[2] ?? "") as SignalSettings;
const forever = () => new Promise<never>(() => undefined);
let hooks = 0;

function report(one: SignalReport): void {
  process.send?.(one);
}

class Busy extends WebSocketHandler {
  async onMessage(text: string) {
    if (fault === "onMessage") await forever();
    for (let n = 0; n < 500; n += 1) this.sendText(`${text} ${n} ${"x".repeat(1_000)}`);
    this.sendText("sent");
  }
  override async onClose() {
    if (fault === "onClose") await forever();
    await new Promise((resolve) => setTimeout(resolve, 20));
    hooks += 1;
  }
}

const app = new App({ logger: { warn: () => undefined, error: () => undefined } }).route("/busy", Busy);
const remove = app.handleSignals({
  ...options,
  onClosed: () => {
    const { state, ready } = app.status();
    report({ kind: "closed", hooks, state, ready });
    if (fault === "onClosed") throw new Error("the database cannot be closed");
  },
});
if (isRemoved === true) remove();
process.on("disconnect", () => process.exit(99));
// Keeps the process alive, as a database or a timer of the application does.
setInterval(() => undefined, 60_000);
report({ kind: "port", port: (await app.listen(0, "127.0.0.1")).port });
