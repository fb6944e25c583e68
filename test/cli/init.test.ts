import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { patient, Running, run } from "./process.js";

const execute = promisify(execFile);
const root = resolve(import.meta.dirname, "../..");

/** An empty folder until the end of the test. */
async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "enfilade-init-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

describe("enfilade init", patient, () => {
  it("refuses a folder with files, lists them, and changes nothing", async () => {
    const folder = await emptyFolder();
    await writeFile(join(folder, "notes.txt"), "mine");
    await mkdir(join(folder, "src"));
    const { code, out, err } = await run(["init"], { folder });
    expect([code, out]).toEqual([1, ""]);
    expect(err).toMatch(/ is not empty: it has notes\.txt, src; choose an empty folder\n$/);
    expect(await readdir(folder)).toEqual(["notes.txt", "src"]);
    const file = await run(["init", "notes.txt"], { folder });
    expect(file).toMatchObject({ code: 1, err: expect.stringContaining("notes.txt is a file; choose a folder\n") });
  });

  it("creates a folder, or fills one that has only .git, and names the package after it", async () => {
    const folder = await emptyFolder();
    await mkdir(join(folder, "My Chat!/.git"), { recursive: true });
    const { code, out } = await run(["init", "My Chat!", "--js"], { folder });
    expect([code, out]).toEqual([0, expect.stringContaining("next:\n  cd 'My Chat!'\n  npm install\n")]);
    const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
    const file = JSON.parse(await readFile(join(folder, "My Chat!/package.json"), "utf8"));
    expect(file).toMatchObject({ name: "my-chat", type: "module", dependencies: { enfilade: `^${version}` } });
    expect((await run(["init", "a/b"], { folder })).code).toBe(0);
    expect(await readdir(join(folder, "a/b"))).toContain("tsconfig.json");
  });
});

describe("a new project, with the packed library", () => {
  let archive = "";

  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), "enfilade-archive-"));
    // Packs the earlier build of `npm test`: a build here would remove dist while other tests use it.
    const pack = ["pack", "--ignore-scripts", "--json", "--pack-destination", folder];
    const { stdout } = await execute("npm", pack, { cwd: root });
    archive = join(folder, JSON.parse(stdout)[0].filename);
    return () => rm(folder, { recursive: true, force: true });
  }, 60_000);

  it.each([
    ["TypeScript", [], "check"],
    ["JavaScript", ["--js"], undefined],
  ])(
    "in %s installs, passes its test, and runs a server that the installed command connects to",
    async (_language, options, check) => {
      const folder = await emptyFolder();
      expect((await run(["init", ".", "--enfilade", `file:${archive}`, ...options], { folder })).code).toBe(0);
      await execute("npm", ["install", "--no-audit", "--no-fund", "--prefer-offline"], { cwd: folder });
      expect((await execute("npm", ["test"], { cwd: folder })).stdout).toMatch(/pass 1\n[\s\S]*fail 0\n/);
      if (check !== undefined) await execute("npm", ["run", check], { cwd: folder });
      const server = new Running(["npm", "start"], { folder, env: { PORT: "0" } });
      await server.until((out) => out.includes("--json"));
      const [, line = ""] = /npx enfilade (.+)\n/.exec(server.out) ?? [];
      const bin = join(folder, "node_modules/.bin/enfilade");
      const client = await new Running([bin, ...line.split(" ")], { folder, input: '"hello"\n' }).result;
      expect(client).toMatchObject({ code: 0, out: '{"channel":"general","message":"hello"}\n' });
      const version = await new Running([bin, "--version"], { folder, input: "" }).result;
      expect(version.out).toMatch(/^\d+\.\d+\.\d+/);
      server.signal("SIGTERM");
      await server.result;
    },
    180_000,
  );
});
