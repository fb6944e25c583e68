// What a process takes; for one with --expose-gc.
import { readFileSync, writeFileSync } from "node:fs";

/** Memory in KiB, after what can be collected was: resident, and used of the heap. */
export async function memoryKiB() {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { residentKiB: statusKiB("VmRSS"), heapKiB: process.memoryUsage().heapUsed / 1024 };
}

/** Forgets the peak so far. */
export function resetPeak() {
  // proc(5): 5 resets the peak of resident memory.
  writeFileSync("/proc/self/clear_refs", "5");
}

/** The most that was resident since {@link resetPeak}. */
export function peakKiB() {
  return statusKiB("VmHWM");
}

function statusKiB(name) {
  return Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
}
