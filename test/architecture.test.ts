import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const src = resolve(import.meta.dirname, "../src");
const layers = ["wire", "connection", "backplane", "protocol", "room", "handler", "server"];
/** Files at the top that every layer may import, and that import no layer. */
const leaves = ["diagnostics.ts", "errors.ts", "counters.ts"];
/** Many nodes: it imports from the layers, and only edges import it. */
const clusterFolder = "cluster";
const edges = ["client", "testing", "redis", "nats", "tickets", "metrics", "admin", "react", "cli"];
/** Edges that may import other edges: a program, not a part of a program. */
const programs = ["cli"];
/** Edges that are built on another one, by their names. */
const bases = new Map([["react", "client"]]);
/** Entries that users import. They may import from anywhere, and no file imports them. */
const entries = ["index.ts", "backplane/index.ts"];
const filesMax = 14;
const linesMax = 350;
const columnsMax = 120;

interface SourceFile {
  readonly path: string;
  readonly text: string;
  /** Imported files of the project by their path in src, and imported packages by name. */
  readonly files: readonly string[];
  readonly packages: readonly string[];
}

const sources = readdirSync(src, { recursive: true, encoding: "utf8" })
  .filter((path) => /\.tsx?$/.test(path))
  .map(readSource);

function readSource(path: string): SourceFile {
  const text = readFileSync(join(src, path), "utf8");
  const specifiers = [
    ...text.matchAll(/(?:^|\n)(?:import|export)\b[^;]*?from\s+"([^"]+)"|\bimport\s*\(?\s*"([^"]+)"/g),
  ];
  const imported = specifiers.map(([, from, bare]) => from ?? bare ?? "");
  const own = imported.filter((specifier) => specifier.startsWith("."));
  return {
    path,
    text,
    files: own.map((specifier) => sourceOf(relative(src, resolve(src, dirname(path), specifier)))),
    packages: imported.filter((specifier) => !specifier.startsWith(".")),
  };
}

/** The source of an imported module. */
function sourceOf(module: string): string {
  const path = module.replace(/\.js$/, ".ts");
  return existsSync(join(src, path)) ? path : `${path}x`;
}

function folderOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : "";
}

function isUpward(from: string, to: string): boolean {
  if (entries.includes(to)) return true;
  if (leaves.includes(to) || entries.includes(from)) return false;
  if (leaves.includes(from)) return true;
  const [own, other] = [folderOf(from), folderOf(to)];
  if (own === other) return false;
  if (edges.includes(other) && bases.get(own) === other) return false;
  if (edges.includes(other)) return !programs.includes(own) || programs.includes(other);
  if (edges.includes(own)) return false;
  if (own === clusterFolder) return !layers.includes(other);
  return layers.indexOf(other) > layers.indexOf(own) || !layers.includes(other);
}

/** Import cycles, each as the path from a file back to itself. */
function cyclesOf(files: readonly SourceFile[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, way: readonly string[]): void => {
    if (way.includes(path)) cycles.push([...way.slice(way.indexOf(path)), path].join(" -> "));
    if (done.has(path)) return;
    done.add(path);
    for (const next of byPath.get(path)?.files ?? []) visit(next, [...way, path]);
  };
  for (const { path } of files) visit(path, []);
  return cycles;
}

describe("the architecture", () => {
  it("has every source file in a layer, an edge, or at the top as a leaf or the index", () => {
    const homeless = sources
      .map(({ path }) => path)
      .filter(
        (path) =>
          ![...layers, clusterFolder, ...edges].includes(folderOf(path)) && ![...leaves, "index.ts"].includes(path),
      );
    expect(homeless).toEqual([]);
  });

  it("imports only from the same folder and from folders to the left, types included", () => {
    const upward = sources.flatMap(({ path, files }) =>
      files.filter((file) => isUpward(path, file)).map((file) => `${path} imports ${file}`),
    );
    expect(upward).toEqual([]);
    expect(sources.flatMap(({ files }) => files).length).toBeGreaterThan(50);
  });

  it("has no import cycle", () => {
    expect(cyclesOf(sources)).toEqual([]);
    const file = (path: string, files: string[]) => ({ path, text: "", files, packages: [] });
    expect(cyclesOf([file("a", ["b"]), file("b", ["c"]), file("c", ["b"])])).toEqual(["b -> c -> b"]);
  });

  it("keeps ws to its transport and the clients, engines to their folders, reflect-metadata to decorators", () => {
    const usersOf = (name: string) => sources.filter(({ packages }) => packages.includes(name)).map(({ path }) => path);
    expect(usersOf("ws").sort()).toEqual([
      "cli/socket.ts",
      "server/websocket/ws/serverSocket.ts",
      "testing/webSocket.ts",
    ]);
    const enginesOf = (folder: string) => (name: string) => usersOf(name).every((path) => folderOf(path) === folder);
    expect(["ioredis"].every(enginesOf("redis"))).toBe(true);
    expect(["@nats-io/transport-node", "@nats-io/jetstream"].every(enginesOf("nats"))).toBe(true);
    expect(usersOf("jose")).toEqual(["tickets/tickets.ts"]);
    expect(usersOf("react").every((path) => folderOf(path) === "react")).toBe(true);
    expect(usersOf("react").length).toBeGreaterThan(0);
    expect(usersOf("negotiator")).toEqual(["server/http/mediaTypes.ts"]);
    expect(usersOf("reflect-metadata")).toEqual(["handler/decorators.ts"]);
  });

  it("keeps enfilade.v1 to its dialect: only the set of dialects imports it", () => {
    const isOfV1 = (path: string) => path.startsWith("protocol/v1/");
    const users = sources.filter(({ path, files }) => !isOfV1(path) && files.some(isOfV1));
    expect(users.map(({ path }) => path)).toEqual(["protocol/dialects.ts"]);
  });

  it("keeps Node's modules out of the code that the browser shares", () => {
    const wire = sources.filter(({ path }) => folderOf(path) === "wire");
    expect(wire.flatMap(({ packages }) => packages.filter((name) => name.startsWith("node:")))).toEqual([]);
    const globals = /\b(?:Buffer|process|setImmediate|__dirname|require)\b(?=[.(\s])/;
    const code = (text: string) => text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
    expect(wire.filter(({ text }) => globals.test(code(text))).map(({ path }) => path)).toEqual([]);
    expect(wire.length).toBeGreaterThan(0);
  });

  it("keeps the pages of the admin apart from its server: they share the types of the API", () => {
    const isPage = (path: string) => path.startsWith("admin/pages/");
    const isAllowed = (file: string) => isPage(file) || file === "admin/api.ts";
    const pages = sources.filter(({ path }) => isPage(path));
    const foreign = pages.flatMap(({ path, files, packages }) => [
      ...files.filter((file) => !isAllowed(file)).map((file) => `${path} imports ${file}`),
      ...packages
        .filter((name) => !/^(preact|uplot|enfilade\/client)(\/|$)/.test(name))
        .map((name) => `${path} imports ${name}`),
    ]);
    expect(foreign).toEqual([]);
    const users = sources.filter(({ path, files }) => !isPage(path) && files.some(isPage)).map(({ path }) => path);
    expect(users).toEqual([]);
    expect(pages.length).toBeGreaterThan(0);
  });

  it("has no file above the maximum length", () => {
    const long = sources.filter(({ text }) => text.split("\n").length - 1 > linesMax).map(({ path }) => path);
    expect(long).toEqual([]);
  });

  it("has no line above 120 columns, in the source and in its tests", () => {
    const tests = readdirSync(import.meta.dirname, { recursive: true, encoding: "utf8" })
      .filter((path) => /\.(ts|js|py)$/.test(path))
      .map((path) => ({ path: `test/${path}`, text: readFileSync(join(import.meta.dirname, path), "utf8") }));
    const wide = [...sources, ...tests].flatMap(({ path, text }) =>
      text.split("\n").flatMap((line, index) => (line.length > columnsMax ? `${path}:${index + 1}` : [])),
    );
    expect(wide).toEqual([]);
  });

  it("keeps the internal part of the public connection small", () => {
    const { text = "" } = sources.find(({ path }) => path === "connection/connection.ts") ?? {};
    expect(text.match(/@internal/g)?.length).toBeLessThanOrEqual(8);
  });

  it("has no folder with too many files", () => {
    const counts = new Map<string, number>();
    for (const { path } of sources) counts.set(dirname(path), (counts.get(dirname(path)) ?? 0) + 1);
    expect([...counts].filter(([, count]) => count > filesMax)).toEqual([]);
  });

  it("is described in the map, with one line for each file", () => {
    const map = readFileSync(join(src, "README.md"), "utf8");
    const missing = sources.map(({ path }) => path).filter((path) => !map.includes(`\`${path}\``));
    expect(missing).toEqual([]);
    const drawn = [...map.matchAll(/`([\w/]+\.tsx?)`/g)].map(([, path]) => path ?? "");
    expect(drawn.filter((path) => !sources.some((source) => source.path === path))).toEqual([]);
  });
});
