import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: {
    // The example app imports the library by its name; tests want its source, not what was built last.
    alias: [
      { find: /^enfilade$/, replacement: source("index.ts") },
      { find: /^enfilade\/backplane$/, replacement: source("backplane/index.ts") },
      { find: /^enfilade\/testing$/, replacement: source("testing/index.ts") },
    ],
  },
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Each of these tests may start several processes.
    maxConcurrency: 2,
  },
});

function source(path: string): string {
  return fileURLToPath(new URL(`src/${path}`, import.meta.url));
}
