// The memory of this process, which runs with --expose-gc.
import { readFileSync, writeFileSync } from "node:fs";

/** Resident memory and used heap in KiB, after a garbage collection. */
export async function memoryKiB() {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { residentKiB: statusKiB("VmRSS"), heapKiB: process.memoryUsage().heapUsed / 1024 };
}

/** Resets the peak of resident memory. */
export function resetPeak() {
  // proc(5): writing 5 resets VmHWM.
  writeFileSync("/proc/self/clear_refs", "5");
}

/** The peak of resident memory in KiB since {@link resetPeak}. */
export function peakKiB() {
  return statusKiB("VmHWM");
}

function statusKiB(name) {
  return Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
}

/** What Linux allocates for a TCP socket that waits for data in an epoll instance; its buffers are empty. */
const socketObjects = ["TCP", "sock_inode_cache", "filp", "dentry", "eventpoll_epi"];

/** The bytes of the kernel for an idle TCP socket, by slabinfo(5); `undefined` without the right to read it. */
export function kernelBytesPerSocket() {
  try {
    const rows = readFileSync("/proc/slabinfo", "utf8").split("\n");
    const sizes = new Map(rows.map((row) => row.split(/\s+/)).map(([name, , , bytes]) => [name, Number(bytes)]));
    const bytes = socketObjects.reduce((sum, name) => sum + (sizes.get(name) ?? Number.NaN), 0);
    return Number.isNaN(bytes) ? undefined : bytes;
  } catch {
    // Only root may read it.
    return undefined;
  }
}
