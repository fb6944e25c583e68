import { setTimeout } from "node:timers/promises";

/** A harmless process with bounded output: it prints twenty short lines and ends. */

const steps = 20;
const stepMs = Math.min(Number(process.argv[2] ?? 250), 1000);

for (let step = 1; step <= steps; step += 1) {
  console.log(`Step ${String(step).padStart(2)} of ${steps} ${"✓".repeat(step)}`);
  await setTimeout(stepMs);
}
console.log("Done.");
