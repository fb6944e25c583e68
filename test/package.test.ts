import { execFile } from "node:child_process";
import { once } from "node:events";
import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { App } from "enfilade";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Sums } from "./package/sums.js";
import { launchBrowser } from "./support/browser.js";
import { missing } from "./support/parts.js";

const run = promisify(execFile);
const root = resolve(import.meta.dirname, "..");
const versions: Record<string, string> = JSON.parse(await readFile(join(root, "package.json"), "utf8")).devDependencies;

/** An empty project with the packed library, like that of a user. */
let project = "";

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "enfilade-package-"));
  // Packs the earlier build of `npm test`: a build here would remove dist while other tests use it.
  const { stdout } = await run("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", project], {
    cwd: root,
  });
  const [{ filename }] = JSON.parse(stdout);
  await writeFile(join(project, "package.json"), JSON.stringify({ name: "user", type: "module", private: true }));
  const tools = ["typescript", "tsx", "@types/node"].map((name) => `${name}@${versions[name]}`);
  const quiet = ["--no-audit", "--no-fund", "--prefer-offline"];
  await run("npm", ["install", ...quiet, join(project, filename), ...tools], { cwd: project });
  await copyFile(join(root, "test/package/plain.js"), join(project, "plain.js"));
  await copyFile(join(root, "test/package/decorated.ts"), join(project, "decorated.ts"));
  for (const file of ["sums.ts", "page.ts", "engine.ts", "contracts.ts"])
    await copyFile(join(root, "test/package", file), join(project, file));
}, 180_000);

afterAll(async () => {
  await rm(project, { recursive: true, force: true });
});

/** The output of a program in the project. */
async function outputOf(command: string, ...args: string[]): Promise<string> {
  const { stdout } = await run(command, args, { cwd: project }).catch((error: { stdout?: string; stderr?: string }) => {
    throw new Error(`${command} ${args.join(" ")} failed:\n${error.stdout ?? ""}${error.stderr ?? ""}`, {
      cause: error,
    });
  });
  return stdout;
}

function bin(name: string): string {
  return join(project, "node_modules/.bin", name);
}

const decoratedOutput = [
  '{"channel":"general","message":"hello"}',
  '{"id":1,"data":42}',
  "/chat/:channel /talk/:channel /events",
  "",
].join("\n");

describe("the packed library in an empty project", () => {
  it("works from JavaScript", async () => {
    expect(await outputOf(process.execPath, "plain.js")).toBe('{"channel":"general","message":"hello"}\n');
  });

  it.each([
    ["legacy", { experimentalDecorators: true }],
    ["legacy, with emitted metadata", { experimentalDecorators: true, emitDecoratorMetadata: true }],
    ["standard", {}],
  ])("works from TypeScript with %s decorators, its own types checked", async (name, options) => {
    const outDir = `out-${name.replace(/\W+/g, "-")}`;
    const compilerOptions = {
      target: "es2022",
      module: "nodenext",
      strict: true,
      noImplicitOverride: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      types: ["node"],
      outDir,
      rootDir: ".",
      ...options,
    };
    await writeFile(
      join(project, "tsconfig.json"),
      JSON.stringify({ compilerOptions, files: ["decorated.ts", "sums.ts", "page.ts", "engine.ts", "contracts.ts"] }),
    );
    await outputOf(bin("tsc"), "-p", ".");
    expect(await outputOf(process.execPath, `${outDir}/decorated.js`)).toBe(decoratedOutput);
    expect(await outputOf(process.execPath, `${outDir}/engine.js`)).toBe("from one node to the other\n");
    expect(await outputOf(process.execPath, `${outDir}/contracts.js`)).toBe(
      "hello\nhello in general unknown_event 3.0.0\n",
    );
  });

  it.each([[{}], [{ experimentalDecorators: true }]])("works through tsx with %j", async (compilerOptions) => {
    await writeFile(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions }));
    expect(await outputOf(bin("tsx"), "decorated.ts")).toBe(decoratedOutput);
  });

  it.skipIf(missing("chromium", "the packed client in a browser"))(
    "has a client that a bundler can put into a page, and that works in a browser",
    async () => {
      const contents = `import { add } from "./page.ts";
        add("/sums/a", (text) => document.body.append(text + ";"));`;
      const stdin = { contents, resolveDir: project, loader: "ts" } as const;
      const { outputFiles } = await build({ stdin, bundle: true, write: false, format: "esm", platform: "browser" });
      const server = createServer((_request, response) => {
        response.setHeader("content-type", "text/html");
        response.end(`<body><script type="module">${outputFiles[0]?.text}</script>`);
      });
      const app = new App().route("/sums/:room", Sums).attach(server);
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      const browser = await launchBrowser();
      try {
        const tab = await browser.newPage();
        await tab.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
        await tab.getByText("unknown_event").waitFor();
        const shown: unknown = await tab.evaluate("document.body.innerText");
        expect(shown).toBe('{"event":"added","data":{"a":1,"b":2}};the sum is 3;unknown_event;');
      } finally {
        await browser.close();
        await app.close();
        server.close();
      }
    },
  );

  it("runs the first handler of the README exactly as written, and its client", async () => {
    const readme = await readFile(join(root, "README.md"), "utf8");
    const [server, client] = [...readme.matchAll(/```(?:ts|js)\n([\s\S]*?)```/g)].map(([, code]) => code ?? "");
    const pasted = `${server?.replace("listen(8000)", "listen(0)")}
import { connect } from "enfilade/testing";
const client = await connect(app, "/chat/general");
client.sendJSON("hello");
console.log(JSON.stringify((await client.readJSON()).message));
await app.close();`;
    await writeFile(join(project, "pasted.ts"), pasted);
    expect(await outputOf(bin("tsx"), "pasted.ts")).toMatch(/"hello"\n$/);
    expect(client).toContain("new WebSocket(");
  });

  it("contains the required files and no others", async () => {
    const { stdout } = await run("npm", ["pack", "--ignore-scripts", "--dry-run", "--json"], { cwd: root });
    const [{ files }] = JSON.parse(stdout);
    const folders = new Set(files.map(({ path }: { path: string }) => path.split("/")[0]));
    const documents = ["CHANGELOG.md", "LICENSE", "PROTOCOL.md", "README.md", "SECURITY.md"];
    expect([...folders].sort()).toEqual([...documents, "dist", "docs", "package.json", "src"]);
  });
});
