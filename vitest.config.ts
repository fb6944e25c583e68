import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** Files that load the machine, measure memory, or have short times for answers. They run one at a time. */
const alone = [
  "test/faults/**/*.test.ts",
  "test/memory/**/*.test.ts",
  "test/connection/watch/stall.test.ts",
  "test/crowd.test.ts",
  "test/backplane/joins.test.ts",
];

export default defineConfig({
  resolve: {
    // The example app imports the library by its name; tests want its source, not what was built last.
    alias: [
      { find: /^enfilade$/, replacement: source("index.ts") },
      { find: /^enfilade\/contract$/, replacement: source("wire/contract/index.ts") },
      { find: /^enfilade\/backplane$/, replacement: source("backplane/index.ts") },
      { find: /^enfilade\/testing$/, replacement: source("testing/index.ts") },
      { find: /^enfilade\/metrics$/, replacement: source("metrics/index.ts") },
      { find: /^enfilade\/admin$/, replacement: source("admin/index.ts") },
    ],
  },
  test: {
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Each of these tests may start several processes.
    maxConcurrency: 2,
    projects: [
      {
        extends: true,
        test: {
          name: "together",
          include: ["test/**/*.test.ts"],
          exclude: alone,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { name: "alone", include: alone, maxWorkers: 1, sequence: { groupOrder: 1 } },
      },
    ],
  },
});

function source(path: string): string {
  return fileURLToPath(new URL(`src/${path}`, import.meta.url));
}
