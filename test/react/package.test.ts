import { execFile, fork } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { examplesOf, writeExamples } from "../docs/examples.js";
import { readPage, root } from "../docs/pages.js";
import { launchBrowser } from "../support/browser.js";
import { missing } from "../support/parts.js";
import { freePort } from "../support/ports.js";

const run = promisify(execFile);
const versions: Record<string, string> = JSON.parse(await readFile(join(root, "package.json"), "utf8")).devDependencies;

/** An empty project with the packed library, without React until a test installs it. */
let project = "";
const examples = examplesOf(readPage("docs/react.md"));

async function install(...packages: string[]): Promise<void> {
  const quiet = ["--no-audit", "--no-fund", "--prefer-offline"];
  await run("npm", ["install", ...quiet, ...packages], { cwd: project });
}

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "enfilade-react-"));
  // Packs the earlier build of `npm test`: a build here would remove dist while other tests use it.
  const pack = ["pack", "--ignore-scripts", "--json", "--pack-destination", project];
  const { stdout } = await run("npm", pack, { cwd: root });
  const [{ filename }] = JSON.parse(stdout);
  await writeFile(join(project, "package.json"), JSON.stringify({ name: "user", type: "module", private: true }));
  await install(join(project, filename), `zod@${versions.zod}`);
}, 180_000);

afterAll(async () => {
  await rm(project, { recursive: true, force: true });
});

it("begins with the directive of client modules, for the App Router of Next.js", async () => {
  const entry = await readFile(join(project, "node_modules/enfilade/dist/react/index.js"), "utf8");
  expect(entry).toMatch(/^"use client";\n/);
});

it("does not need React in an app that does not import the hooks", async () => {
  expect(existsSync(join(project, "node_modules/react"))).toBe(false);
  const code = `import { App } from "enfilade"; import { connect } from "enfilade/client"; new App(); connect.name;`;
  await run(process.execPath, ["--input-type=module", "-e", code], { cwd: project });
});

/** Starts the server of the page, for a page of this origin. */
async function startServer(origin: string): Promise<void> {
  const port = await freePort();
  const { port: originPort } = new URL(origin);
  await writeExamples(project, examples, { 8000: port, 5173: Number(originPort) });
  const program = join(project, "docs/react/server.js");
  // It reports when it listens: the example itself prints nothing.
  const code = `import(${JSON.stringify(program)}).then(() => process.send("listens"))`;
  const starter = join(dirname(program), "start.mjs");
  await writeFile(starter, code);
  const child = fork(starter, { cwd: project });
  onTestFinished(() => void child.kill());
  await once(child, "message");
}

describe.skipIf(missing("chromium", "the first app of docs/react.md"))("docs/react.md", () => {
  it("has a first app that a newcomer can paste, compile, bundle and use", { timeout: 180_000 }, async () => {
    const packages = ["react", "react-dom", "@types/react", "@types/react-dom", "@types/node", "typescript"];
    await install(...packages.map((name) => `${name}@${versions[name]}`));
    let script = "";
    const server = createServer(({ url }, response) => {
      response.setHeader("content-type", url === "/" ? "text/html" : "text/javascript");
      response.end(
        url === "/" ? '<!doctype html><div id="root"></div><script type="module" src="main.js"></script>' : script,
      );
    });
    server.listen(0, "localhost");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const origin = `http://localhost:${(server.address() as AddressInfo).port}`;
    await startServer(origin);

    const compilerOptions = { target: "es2022", module: "nodenext", strict: true, jsx: "react-jsx", types: ["node"] };
    await mkdir(join(project, "docs/react"), { recursive: true });
    const files = examples.map(({ file }) => file);
    await writeFile(
      join(project, "tsconfig.json"),
      JSON.stringify({ compilerOptions: { ...compilerOptions, noEmit: true }, files }),
    );
    await run(process.execPath, [join(project, "node_modules/typescript/bin/tsc"), "-p", "."], { cwd: project });

    const entryPoints = [join(project, "docs/react/main.tsx")];
    const { outputFiles } = await build({ entryPoints, bundle: true, write: false, format: "esm", jsx: "automatic" });
    script = outputFiles[0]?.text ?? "";

    const browser = await launchBrowser();
    onTestFinished(() => browser.close());
    const [ann, bob] = [await browser.newPage(), await browser.newPage()];
    for (const tab of [ann, bob]) await tab.goto(origin);
    for (const tab of [ann, bob]) await tab.getByText("home: open, 2 here").waitFor();
    await ann.getByLabel("Task").fill("Buy milk");
    await ann.getByRole("button", { name: "Add" }).click();
    for (const tab of [ann, bob]) await tab.getByRole("listitem").getByText("Buy milk").waitFor();
    await bob.reload();
    await bob.getByRole("listitem").getByText("Buy milk").waitFor();
    expect(await bob.getByRole("listitem").count()).toBe(1);
  });
});
