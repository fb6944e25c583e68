import { writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { type Command, type Context, exitCodes, type Input, UsageError } from "../command.js";
import { readPackage } from "../package.js";
import { loadApp } from "./userModule.js";

export const asyncapiCommand: Command = {
  name: "asyncapi",
  usage: "[MODULE]",
  summary: "print the AsyncAPI document of an app",
  args: [0, 1],
  options: {
    out: { value: "FILE", summary: "write the document to this file" },
    import: { value: "NAME", summary: "a package or file to import first, such as tsx; may be given several times" },
    title: { value: "TEXT", summary: "the title (default: the name in package.json)" },
    release: { value: "VERSION", summary: "the version of the app (default: the version in package.json)" },
    server: { value: "URL", summary: "a server, such as wss://example.com; may be given several times" },
  },
  details: [
    "Imports MODULE, which exports the app by the name app or as its default, and prints app.asyncapi() as JSON.",
    "Without MODULE, the first of src/app.ts, src/app.js, app.ts, app.js that exists. For TypeScript, install tsx, and",
    "use --import tsx, or use a version of Node.js that runs TypeScript. The module should not listen when it is",
    "imported: export the app from one file, and listen in another. What it prints goes to stderr.",
    "",
    "Exit codes: 0 done; 1 the module cannot be imported or exports no app, or FILE cannot be written; 2 wrong usage.",
  ].join("\n"),
  run,
};

async function run(input: Input, context: Context): Promise<number> {
  const servers = serversOf(input.list("server"));
  const app = await loadApp({ module: input.args[0], imports: input.list("import") }, context);
  const { name, version } = readPackage(context.folder) ?? {};
  const title = input.text("title") ?? name;
  const release = input.text("release") ?? version;
  const info = { ...(title !== undefined && { title }), ...(release !== undefined && { version: release }) };
  const document = app.asyncapi({ info, ...(servers.length > 0 && { servers: Object.fromEntries(servers) }) });
  await print(`${JSON.stringify(document, null, 2)}\n`, input.text("out"), context);
  return exitCodes.done;
}

async function print(text: string, out: string | undefined, { folder, stdout, stderr }: Context): Promise<void> {
  if (out === undefined) {
    stdout.write(text);
    return;
  }
  const file = resolve(folder, out);
  await writeFile(file, text);
  stderr.write(`enfilade: wrote ${file}\n`);
}

/** The servers of the document by name. */
function serversOf(urls: readonly string[]): [name: string, server: { host: string; protocol: string }][] {
  return urls.map((url, index) => {
    const { protocol, host } = URL.canParse(url) ? new URL(url) : { protocol: "", host: "" };
    if (!["ws:", "wss:", "http:", "https:"].includes(protocol) || host === "") {
      throw new UsageError(`--server takes a URL such as wss://example.com, got "${url}"`);
    }
    const name = index === 0 ? "default" : `server${index + 1}`;
    return [name, { host, protocol: protocol.slice(0, -1).replace("http", "ws") }];
  });
}
