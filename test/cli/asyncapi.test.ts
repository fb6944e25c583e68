import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { patient, run } from "./process.js";

const root = resolve(import.meta.dirname, "../..");

/** A project with these files, the built library, zod and tsx, until the end of the test. */
async function projectWith(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "enfilade-asyncapi-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, "node_modules"));
  await symlink(root, join(folder, "node_modules/enfilade"));
  for (const name of ["zod", "tsx"])
    await symlink(join(root, "node_modules", name), join(folder, "node_modules", name));
  const all = { "package.json": JSON.stringify({ name: "chat", version: "2.1.0", type: "module" }), ...files };
  for (const [name, text] of Object.entries(all)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return folder;
}

const program = `
import { App, contract, EventHandler } from "enfilade";
import { z } from "zod";
const chat = contract({ receives: { say: z.string() } });
class Chat extends EventHandler.of(chat) {
  onSay() {}
}
export const app = new App().route("/chat/:channel", Chat, { name: "chat" });
`;

describe("enfilade asyncapi", patient, () => {
  it("prints the document of the app that a module exports, and nothing else", async () => {
    const folder = await projectWith({ "src/app.js": `${program}console.log("started");` });
    const { code, out, err } = await run(["asyncapi", "src/app.js", "--server", "https://example.com:8443/"], {
      folder,
    });
    expect([code, err]).toEqual([0, "started\n"]);
    expect(JSON.parse(out)).toMatchObject({
      asyncapi: "3.0.0",
      info: { title: "chat", version: "2.1.0" },
      servers: { default: { host: "example.com:8443", protocol: "wss" } },
      channels: { chat: { address: "/chat/{channel}" } },
      operations: { "chat.receive.say": { action: "receive" } },
      components: { schemas: { "Chat.receives.say.data": { type: "string" } } },
    });
    expect(await run(["asyncapi", "--server", "wss://example.com:8443"], { folder })).toMatchObject({ code: 0, out });
  });

  it("writes a file, and ends although the app listens", async () => {
    const folder = await projectWith({ "server.js": `${program}await app.listen(0);\nexport default app;` });
    const args = ["asyncapi", "server.js", "--out", "api.json", "--title", "Talk", "--release", "3.0.0"];
    const { code, out, err } = await run(args, { folder });
    expect([code, out, err]).toEqual([0, "", expect.stringMatching(/^enfilade: wrote .*api\.json\n$/)]);
    const document = JSON.parse(await readFile(join(folder, "api.json"), "utf8"));
    expect(document.info).toEqual({ title: "Talk", version: "3.0.0" });
    expect(document).not.toHaveProperty("servers");
  });

  it("imports TypeScript with the loader of the project", async () => {
    const typed = `${program.replace("export const app", "const app: App")}enum Kind { one }\nexport default app;`;
    const folder = await projectWith({ "src/app.ts": typed });
    const { code, out } = await run(["asyncapi", "--import", "tsx"], { folder });
    expect([code, JSON.parse(out).channels.chat.address]).toEqual([0, "/chat/{channel}"]);
    // An enum needs a compiler in every version of Node.js.
    const without = await run(["asyncapi"], { folder });
    expect(without).toMatchObject({ code: 1, out: "" });
    expect(without.err).toMatch(/^enfilade: .*app\.ts cannot be imported: .*; .*install tsx and use --import tsx\n$/);
  });

  it.each([
    [
      "exports no app",
      "export const server = 1;",
      /exports no app by the name app or as its default; it exports server\n$/,
    ],
    ["exports nothing", "", /; it exports nothing\n$/],
    ["exports a function", "export default () => 1;", /it exports default; export the app itself, not a function/],
    ["throws", 'throw new Error("no database");', /app\.js cannot be imported: no database\n$/],
    ["imports a missing package", 'import "nothing-there";', /cannot be imported: Cannot find package 'nothing-there'/],
  ])("fails with one line for a module that %s", async (_what, text, complaint) => {
    const folder = await projectWith({ "app.js": text });
    const { code, out, err } = await run(["asyncapi"], { folder });
    expect([code, out, err]).toEqual([1, "", expect.stringMatching(complaint)]);
    expect(err.indexOf("\n")).toBe(err.length - 1);
  });

  it("exits with 2 if there is no such file or loader", async () => {
    const folder = await projectWith({});
    const none = "there is none of src/app.ts, src/app.js, app.ts, app.js; name the file that exports the app";
    expect(await run(["asyncapi"], { folder })).toMatchObject({ code: 2, err: `enfilade: ${none}\n` });
    expect(await run(["asyncapi", "x.js"], { folder })).toMatchObject({
      code: 2,
      err: expect.stringMatching(/no file/),
    });
    await writeFile(join(folder, "app.js"), program);
    const loader = await run(["asyncapi", "--import", "no-loader"], { folder });
    expect(loader).toMatchObject({ code: 2, err: expect.stringContaining('got "no-loader"; install it') });
  });
});
