/** The content of a file by its path in the project. */
export type Files = ReadonlyMap<string, string>;

/** What the files of a new project depend on. */
export interface ProjectOptions {
  /** The name in package.json. */
  readonly name: string;
  /** The version or the source of this package, as npm takes it. */
  readonly enfilade: string;
  /** The range of versions of Node.js. */
  readonly node: string;
  /** The ranges of development tools by name. */
  readonly tools: ReadonlyMap<string, string>;
}

const typed = ["typescript", "tsx", "@types/node"];

/** A project in TypeScript, with decorators. */
export function typeScriptFiles(options: ProjectOptions): Files {
  const scripts = {
    start: "tsx src/server.ts",
    test: "node --import tsx --test test/chat.test.ts",
    check: "tsc --noEmit",
  };
  return new Map([
    ["package.json", packageFile(options, scripts, typed)],
    ["tsconfig.json", tsconfig],
    ["src/chat.ts", typeScriptChat],
    ["src/server.ts", server],
    ["test/chat.test.ts", test],
    ["README.md", readme(options.name, "ts")],
    [".gitignore", "node_modules/\n"],
  ]);
}

/** A project in JavaScript, without decorators, which Node.js cannot run yet. */
export function javaScriptFiles(options: ProjectOptions): Files {
  const scripts = { start: "node src/server.js", test: "node --test test/chat.test.js" };
  return new Map([
    ["package.json", packageFile(options, scripts, [])],
    ["src/chat.js", javaScriptChat],
    ["src/server.js", server],
    ["test/chat.test.js", test],
    ["README.md", readme(options.name, "js")],
    [".gitignore", "node_modules/\n"],
  ]);
}

function packageFile({ name, enfilade, node, tools }: ProjectOptions, scripts: object, used: string[]): string {
  const devDependencies = Object.fromEntries(used.toSorted().map((tool) => [tool, tools.get(tool) ?? "*"]));
  const content = {
    name,
    version: "0.0.0",
    private: true,
    type: "module",
    engines: { node },
    scripts,
    dependencies: { enfilade },
    ...(used.length > 0 && { devDependencies }),
  };
  return `${JSON.stringify(content, undefined, 2)}\n`;
}

const tsconfig = `${JSON.stringify(
  {
    compilerOptions: { target: "es2022", module: "nodenext", strict: true, types: ["node"], noEmit: true },
    include: ["src", "test"],
  },
  undefined,
  2,
)}\n`;

const typeScriptChat = `import { Route, WebSocketHandler } from "enfilade";

/** A room for each channel. A client that connects to /chat/general is in the room /chat/general. */
@Route("/chat/:channel", { history: { size: 100 }, replay: 10 })
export class Chat extends WebSocketHandler<{ channel: string }> {
  onJSON(message: unknown) {
    this.sendJSONToThisRoom({ channel: this.params.channel, message });
  }
}
`;

const javaScriptChat = `import { WebSocketHandler } from "enfilade";

/** A room for each channel. A client that connects to /chat/general is in the room /chat/general. */
export class Chat extends WebSocketHandler {
  static route = { pattern: "/chat/:channel", history: { size: 100 }, replay: 10 };

  onJSON(message) {
    this.sendJSONToThisRoom({ channel: this.params.channel, message });
  }
}
`;

const server = `import { App } from "enfilade";
import { Chat } from "./chat.js";

const app = new App({ handlers: [Chat] });
const { url } = await app.listen(Number(process.env.PORT ?? 8000));
app.handleSignals();
console.log(\`The server runs. Connect with: npx enfilade connect \${url}/chat/general --json\`);
`;

const test = `import assert from "node:assert/strict";
import { test } from "node:test";
import { App } from "enfilade";
import { connect } from "enfilade/testing";
import { Chat } from "../src/chat.js";

test("sends a message to all clients of its room, and to no other room", async () => {
  const app = new App({ handlers: [Chat] });
  const ann = await connect(app, "/chat/general");
  const bob = await connect(app, "/chat/general");
  const eve = await connect(app, "/chat/other");

  ann.sendJSON("hello");
  assert.deepEqual(await ann.readJSON(), { channel: "general", message: "hello" });
  assert.deepEqual(await bob.readJSON(), { channel: "general", message: "hello" });

  eve.sendJSON("hi");
  assert.deepEqual(await eve.readJSON(), { channel: "other", message: "hi" });
  await app.close();
});
`;

function readme(name: string, extension: string): string {
  return `# ${name}

\`\`\`sh
npm install && npm start  # the server, on port 8000; PORT sets another one
npm test                  # its test
\`\`\`

While the server runs, \`npx enfilade connect ws://localhost:8000/chat/general --json\` is a client for the terminal. A
line is JSON, such as \`"hello"\`. The handler is in \`src/chat.${extension}\`.
`;
}
