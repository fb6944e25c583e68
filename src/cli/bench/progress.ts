import type { Clock } from "../../connection/clock.js";
import type { Load } from "./load.js";

const width = 30;
const intervalMs = 250;

/** Shows a bar in one line of a terminal, until the returned function is called. Writes nothing to anything else. */
export function showProgress(load: Load, durationMs: number, out: NodeJS.WriteStream, clock: Clock): () => void {
  if (!out.isTTY) return () => undefined;
  const startedAt = clock.now();
  const draw = (): void => {
    const share = Math.min(1, (clock.now() - startedAt) / durationMs);
    const done = Math.round(share * width);
    const p99 = load.latency.count === 0 ? "" : `, p99 ${(load.latency.percentile(99) / 1_000).toFixed(1)} ms`;
    const bar = `[${"#".repeat(done)}${".".repeat(width - done)}]`;
    out.write(`\r\x1b[K${bar} ${load.received} arrived${p99}`);
    timer = clock.setTimeout(draw, intervalMs);
  };
  let timer = clock.setTimeout(draw, 0);
  return () => {
    timer.cancel();
    out.write("\r\x1b[K");
  };
}
