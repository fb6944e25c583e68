import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type EngineName, openEngine } from "../support/engines.js";
import { missing } from "../support/parts.js";
import { freePort } from "../support/ports.js";
import {
  augmentsTypes,
  type Example,
  examplesOf,
  hasDecorators,
  isTypeScript,
  mistakesOf,
  type Ports,
  writeExamples,
} from "./examples.js";
import type { Page } from "./markdown.js";
import { pagesWithExamples, root } from "./pages.js";
import { failureOf } from "./programs.js";
import { makeReaderProject, removeReaderProject } from "./readerProject.js";

const pages = pagesWithExamples();
const compilers = {
  "TypeScript 7": join(root, "node_modules/typescript/bin/tsc"),
  // In a workspace: in node_modules its tsc would replace that of TypeScript 7.
  "TypeScript 5.9": join(root, "scripts/reference/node_modules/typescript/bin/tsc"),
};
const compilerOptions = {
  target: "es2022",
  module: "nodenext",
  strict: true,
  skipLibCheck: false,
  types: ["node"],
  jsx: "react-jsx",
  moduleDetection: "force",
  noEmit: true,
};
/** The port that servers of examples listen on. */
const serverPort = 8000;
const enginePorts: Readonly<Record<EngineName, number>> = { redis: 6379, nats: 4222 };

let project = "";

beforeAll(async () => {
  project = await makeReaderProject();
  for (const page of pages) await writeExamples(project, examplesOf(page));
}, 120_000);

afterAll(() => removeReaderProject(project));

it("follows the conventions of code blocks in every page", () => {
  expect(pages.flatMap(mistakesOf)).toEqual([]);
});

describe.each(Object.entries(compilers))("%s", (name, compiler) => {
  it.each([
    ["standard", false],
    ["legacy", true],
  ])(
    "compiles every example, with %s decorators",
    async (kind, experimentalDecorators) => {
      const isConcerned = (example: Example) => !experimentalDecorators || hasDecorators(example);
      const programs = programsOf(isConcerned).filter(({ length }) => length > 0);
      const outputs = [];
      for (const [index, examples] of programs.entries()) {
        const config = join(project, `tsconfig.${name.replace(" ", "-")}.${kind}.${index}.json`);
        const files = examples.map(({ file }) => file);
        await writeFile(
          config,
          JSON.stringify({ compilerOptions: { ...compilerOptions, experimentalDecorators }, files }),
        );
        outputs.push(await complaintsOf(compiler, config));
      }
      expect(outputs.join("")).toBe("");
    },
    300_000,
  );
});

/** The programs to compile: one for all pages, and one for each page that adds to the types of the library. */
function programsOf(isConcerned: (example: Example) => boolean): Example[][] {
  const shared: Example[] = [];
  const own: Example[][] = [];
  for (const page of pages) {
    const examples = examplesOf(page).filter(({ block }) => isTypeScript(block.language));
    if (examples.some(augmentsTypes)) own.push(examples.filter(isConcerned));
    else shared.push(...examples.filter(isConcerned));
  }
  return [shared, ...own];
}

/** The output of a compiler. Files have the names of their pages, and lines the numbers of the page. */
function complaintsOf(compiler: string, config: string): Promise<string> {
  return new Promise((resolve) => {
    execFile(process.execPath, [compiler, "-p", config], { cwd: project }, (error, stdout, stderr) => {
      const isSilent = error !== null && stdout === "" && stderr === "";
      resolve(isSilent ? `${compiler} ended with ${error.code}` : stdout + stderr);
    });
  });
}

describe("an example", () => {
  // vitest.config.ts bounds the pages at a time (`maxConcurrency`). Examples of one page share a port, and run in turn.
  it.concurrent.for(pages.filter(hasExamples))(
    "of $path runs",
    { timeout: 300_000 },
    async (page, { expect, onTestFinished, skip }) => {
      const ports: Record<number, number> = { [serverPort]: await freePort() };
      for (const name of enginesOf(page)) {
        if (missing(name, `the examples of ${page.path}`)) skip();
        const { engine, remove } = await openEngine(name);
        onTestFinished(remove);
        ports[enginePorts[name]] = engine.port;
      }
      expect(await failuresOf(page, ports)).toEqual([]);
    },
  );
});

function hasExamples(page: Page): boolean {
  return examplesOf(page).some(({ isRun }) => isRun);
}

/** The engines whose ports a page uses. */
function enginesOf(page: Page): EngineName[] {
  const code = examplesOf(page).map(({ block }) => block.code);
  return (["redis", "nats"] as const).filter((name) => code.some((text) => text.includes(String(enginePorts[name]))));
}

async function failuresOf(page: Page, ports: Ports): Promise<string[]> {
  const examples = examplesOf(page);
  await writeExamples(project, examples, ports);
  const failures: string[] = [];
  for (const example of examples.filter(({ isRun }) => isRun)) {
    const failure = await failureOf(project, example);
    if (failure !== undefined) failures.push(failure);
  }
  return failures;
}
