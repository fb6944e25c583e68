import type { Clock } from "../../connection/clock.js";
import type { Load } from "./load.js";

const widthMax = 30;
/** A shorter bar says less than its figures. */
const widthMin = 5;
const intervalMs = 250;

/** Shows a bar in one line of a terminal, until the returned function is called. Writes nothing to anything else. */
export function showProgress(load: Load, durationMs: number, out: NodeJS.WriteStream, clock: Clock): () => void {
  if (!out.isTTY) return () => undefined;
  const startedAt = clock.now();
  const draw = (): void => {
    const share = Math.min(1, (clock.now() - startedAt) / durationMs);
    const p99 = load.latency.count === 0 ? "" : `, p99 ${(load.latency.percentile(99) / 1_000).toFixed(1)} ms`;
    const figures = `${load.received} arrived${p99}`;
    // A line that fills the terminal would begin another one. An unknown width is 0.
    const columns = (out.columns || 80) - 1;
    const line = `${barOf(share, columns - figures.length - 3)}${figures}`;
    out.write(`\r\x1b[K${line.slice(0, columns)}`);
    timer = clock.setTimeout(draw, intervalMs);
  };
  let timer = clock.setTimeout(draw, 0);
  return () => {
    timer.cancel();
    out.write("\r\x1b[K");
  };
}

/** A bar with a space behind it, if there is room for one. */
function barOf(share: number, columns: number): string {
  const width = Math.min(widthMax, columns);
  if (width < widthMin) return "";
  const done = Math.round(share * width);
  return `[${"#".repeat(done)}${".".repeat(width - done)}] `;
}
