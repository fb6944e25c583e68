import { expect, it } from "vitest";
import { clientFrame, rawConnection } from "../support/raw.js";
import { startMemoryChild } from "./memoryChild.js";

const MiB = 1024 * 1024;
const pings = Buffer.concat(Array.from({ length: 480 }, () => clientFrame(0x89, "p".repeat(125))));

it("keeps the fragments of an unfinished message, and not the frames that arrived with them", async () => {
  const server = await startMemoryChild();
  const client = await rawConnection(server.port, "/neighbour");
  const { heapBytes } = await server.ask("heap");
  for (let count = 1; count <= 100; count += 1) {
    // A last ping of its own: its answer shows that all before it was read.
    const last = clientFrame(0x89, `last ${count}`);
    client.socket.write(Buffer.concat([clientFrame(count === 1 ? 0x01 : 0x00, "x"), pings, last]));
    await client.received(`last ${count}`);
  }
  const after = await server.ask("heap");
  expect(after.heapBytes - heapBytes).toBeLessThan(MiB);
  client.socket.write(clientFrame(0x80, "end"));
  await client.received(`${"x".repeat(100)}end`);
});
