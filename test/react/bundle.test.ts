import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import type { Plugin } from "esbuild";
import { expect, it } from "vitest";
import { bundleOf } from "../support/bundle.js";

const folder = fileURLToPath(new URL("../../src/react/", import.meta.url));
const entry = JSON.stringify(`${folder}index.ts`);

/** Leaves out React and the client. */
const hooksAlone: Plugin = {
  name: "hooks alone",
  setup: ({ onResolve }) => {
    onResolve({ filter: /^react$|^\.\.\// }, ({ path }) => ({ path, external: true }));
  },
};

const bundle = (contents: string) => bundleOf(contents, folder, [hooksAlone]);

it("is at most 1.5 KB (1,536 bytes) gzipped, without React and the client", async () => {
  const code = await bundle(`export * from ${entry}`);
  expect(gzipSync(code, { level: 9 }).length).toBeLessThanOrEqual(1_536);
  expect(code).toMatch(/from"react"/);
  expect(code).toMatch(/from"\.\.\/client\/connect\.js"/);
  expect(code).not.toMatch(/node:|process|Buffer/);
});

it("has no side effects on import, so that a bundler can remove unused hooks", async () => {
  // Imports of packages that are left out stay.
  const unused = (await bundle(`import ${entry}; import { useRoom } from ${entry};`)).replace(/import[^;]*;/g, "");
  expect(unused.trim()).toBe("");
});
