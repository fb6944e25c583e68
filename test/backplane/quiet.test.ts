import { describe, expect, it, onTestFinished, vi } from "vitest";
import { WebSocket } from "ws";
import { connect } from "../../src/client/index.js";
import { CloseCode } from "../../src/wire/closeCodes.js";
import { missing } from "../support/parts.js";
import { nodeOf, startCluster, until } from "./cluster.js";

const minuteMs = 60_000;

/** Moves the clock of the nodes. Timers keep their own time. */
function movableClock(): (ms: number) => void {
  let ms = Date.now();
  const now = vi.spyOn(Date, "now").mockImplementation(() => ms);
  onTestFinished(() => now.mockRestore());
  return (by) => {
    ms += by;
  };
}

describe.each(["redis", "nats"] as const)("a room without publications, on %s", (engine) => {
  it.skipIf(missing(engine, "quiet rooms"))("a client that was there for long comes back without a loss", async () => {
    const move = movableClock();
    const cluster = await startCluster(engine, 1, { limits: { roomCheckMs: 10 } });
    const { app, port } = nodeOf(cluster, 0);
    const room = connect(`ws://127.0.0.1:${port}/kept/quiet`, { WebSocket });
    onTestFinished(() => room.close());
    const events: string[] = [];
    room.on("lost", ({ reason }) => events.push(`lost: ${reason}`));
    room.on("recovered", () => events.push("recovered"));
    // Events come in order with the messages.
    room.on("message", () => undefined);
    await room.opened;
    for (let minutes = 0; minutes < 15; minutes += 5) {
      const before = room.position?.epoch;
      move(5 * minuteMs);
      await until(() => room.position?.epoch !== before);
    }
    expect(events).toEqual([]);
    for (const connection of app.registry.connections) connection.close(CloseCode.slow, "slow");
    await until(() => events.length > 0);
    expect(events).toEqual(["recovered"]);
  });
});
