import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { type Limits, WebSocketHandler } from "../../../src/index.js";
import { startWith } from "../../support/app.js";
import { clientFrame, rawConnection } from "../../support/raw.js";

class Echo extends WebSocketHandler {
  onMessage(text: string) {
    this.sendText(text);
  }
}

/** The limits that docs/limits.md has for conformance suites. */
function documentedLimits(): Partial<Limits> {
  const page = readFileSync(new URL("../../../docs/limits.md", import.meta.url), "utf8");
  const [, lines = ""] = /conformanceLimits: Partial<Limits> = \{([^}]*)\}/.exec(page) ?? [];
  const limits = [...lines.matchAll(/(\w+): ([\d_ *]+),/g)].map(([, name = "", product = ""]) => {
    const factors = product.split("*").map((factor) => Number(factor.replaceAll("_", "")));
    return [name, factors.reduce((all, factor) => all * factor, 1)] as const;
  });
  return Object.fromEntries(limits);
}

it("accepts what conformance suites send, with the documented limits: 4 MiB in fragments of 64 bytes", async () => {
  const { port } = await startWith("/echo", Echo, { limits: documentedLimits() });
  const client = await rawConnection(port, "/echo");
  const middle = clientFrame(0x00, "x".repeat(64));
  const count = 65_536;
  const frames = [clientFrame(0x01, "x".repeat(64)), ...Array.from({ length: count - 2 }, () => middle)];
  client.socket.write(Buffer.concat([...frames, clientFrame(0x80, `${"x".repeat(60)}last`)]));
  let bytes = 0;
  let isWhole = false;
  client.socket.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (chunk.subarray(-4).toString() === "last") isWhole = true;
  });
  while (!isWhole && !client.socket.closed) await new Promise((resolve) => setImmediate(resolve));
  expect(bytes).toBe(10 + 64 * count);
});
