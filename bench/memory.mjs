// What a process takes; for one with --expose-gc.
import { readFileSync } from "node:fs";

/** Memory in KiB, after what can be collected was: resident, and used of the heap. */
export async function memoryKiB() {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const residentKiB = Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
  return { residentKiB, heapKiB: process.memoryUsage().heapUsed / 1024 };
}
