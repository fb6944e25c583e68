import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import type { Plugin } from "esbuild";
import { expect, it } from "vitest";
import { bundleOf } from "../support/bundle.js";

const entry = fileURLToPath(new URL("../../src/client/index.ts", import.meta.url));

/** Replaces the module of streams, which is not needed to measure the rest. */
const withoutStreams: Plugin = {
  name: "without streams",
  setup: ({ onLoad }) =>
    onLoad({ filter: /messages\/stream\.ts$/ }, () => ({ contents: "export const stream = () => 0" })),
};

const bundle = (contents: string, plugins: Plugin[] = []) =>
  bundleOf(contents, fileURLToPath(new URL(".", import.meta.url)), plugins);

it("is at most 6.4 KB (6,510 bytes) gzipped without streams, and needs no modules of Node", async () => {
  const contents = `export { connect, ConnectError, RequestError } from ${JSON.stringify(entry)}`;
  const measured = await bundle(contents, [withoutStreams]);
  expect(gzipSync(measured, { level: 9 }).length).toBeLessThanOrEqual(6_510);
  const code = await bundle(`export * from ${JSON.stringify(entry)}`);
  expect(code).toContain("enfilade.v1");
  expect(code).not.toMatch(/node:|require|process|Buffer|reflect-metadata|\bimport\b/);
});

it("is at most 8.4 KB (8,600 bytes) gzipped with streams and the fallback to HTTP", async () => {
  const fallback = fileURLToPath(new URL("../../src/client/http/index.ts", import.meta.url));
  const code = await bundle(
    `export { connect } from ${JSON.stringify(entry)}; export * from ${JSON.stringify(fallback)};`,
  );
  expect(gzipSync(code, { level: 9 }).length).toBeLessThanOrEqual(8_600);
  expect(code).toContain("enfilade-stream");
  expect(code).toContain("readAhead");
});

it("is at most 9.6 KB (9,850 bytes) gzipped with streams and many rooms on one socket", async () => {
  const code = await bundle(`export { connect, connectSocket } from ${JSON.stringify(entry)};`);
  expect(gzipSync(code, { level: 9 }).length).toBeLessThanOrEqual(9_850);
  expect(code).toContain("enfilade.v1.rooms");
});

it("has no side effects on import, so that a bundler can remove unused parts", async () => {
  const code = await bundle(`import ${JSON.stringify(entry)}; import { connect } from ${JSON.stringify(entry)};`);
  expect(code.trim()).toBe("");
  const errors = await bundle(`export { RequestError } from ${JSON.stringify(entry)}`);
  expect(errors).not.toContain("enfilade.v1");
});

it("has a contract in a page without the server and the client: it adds at most 1 KB gzipped", async () => {
  const contracts = fileURLToPath(new URL("../../src/wire/contract/index.ts", import.meta.url));
  const code = await bundle(`import { contract } from ${JSON.stringify(contracts)}; window.chat = contract({});`);
  expect(gzipSync(code, { level: 9 }).length).toBeLessThanOrEqual(1_024);
  expect(code).not.toMatch(/node:|require|process|Buffer|reflect-metadata|\bimport\b|enfilade\.v1/);
});
