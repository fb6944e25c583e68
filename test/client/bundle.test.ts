import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { expect, it } from "vitest";

const entry = fileURLToPath(new URL("../../src/client/index.ts", import.meta.url));

/** The output of a browser bundler for a module. */
async function bundle(contents: string): Promise<string> {
  const resolveDir = fileURLToPath(new URL(".", import.meta.url));
  const { outputFiles } = await build({
    stdin: { contents, resolveDir, loader: "ts" },
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    target: "es2022",
    platform: "browser",
    // package.json only claims that there are no side effects; this checks it.
    ignoreAnnotations: true,
  });
  return outputFiles[0]?.text ?? "";
}

it("is at most 6 KB (6,180 bytes) gzipped with one room per socket, without modules of Node", async () => {
  const code = await bundle(`export { connect, ConnectError, RequestError } from ${JSON.stringify(entry)}`);
  expect(gzipSync(code, { level: 9 }).length).toBeLessThanOrEqual(6_180);
  expect(code).toContain("enfilade.v1");
  expect(code).not.toMatch(/node:|require|process|Buffer|reflect-metadata|\bimport\b/);
});

it("is at most 8 KB gzipped with the fallback to HTTP", async () => {
  const fallback = fileURLToPath(new URL("../../src/client/http/index.ts", import.meta.url));
  const code = await bundle(
    `export { connect } from ${JSON.stringify(entry)}; export * from ${JSON.stringify(fallback)};`,
  );
  expect(gzipSync(code, { level: 9 }).length).toBeLessThanOrEqual(8_192);
  expect(code).toContain("enfilade-stream");
});

it("is at most 8.5 KB gzipped with many rooms on one socket", async () => {
  const code = await bundle(`export { connect, connectSocket } from ${JSON.stringify(entry)};`);
  expect(gzipSync(code, { level: 9 }).length).toBeLessThanOrEqual(8_704);
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
