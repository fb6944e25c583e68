// Changes the source in many small ways, and runs the tests of each change to see that one fails: `npm run mutation`.
import { fileURLToPath } from "node:url";
import { Stryker } from "@stryker-mutator/core";
import { parts, scoreMin } from "./parts.mjs";

const output = "scripts/mutation/output";
const found = new Set(["Killed", "Timeout"]);
const missed = new Set(["Survived", "NoCoverage"]);

process.chdir(fileURLToPath(new URL("../..", import.meta.url)));
const wanted = process.argv.slice(2);
const files = Object.keys(parts).filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)));
if (files.length === 0) throw new Error(`no mutated file has one of these in its path: ${wanted.join(", ")}`);
const scores = [];
for (const file of files) scores.push([file, await scoreOf(file)]);
for (const [file, score] of scores) console.log(`${score.toFixed(1).padStart(5)} %  ${file}`);
// Also for no score at all, which is not a number.
process.exitCode = scores.every(([, score]) => score >= scoreMin) ? 0 : 1;

/** Per cent of the mutants of a file that a test finds. */
async function scoreOf(file) {
  process.env.MUTATION_TESTS = parts[file].join(",");
  const results = await new Stryker(optionsFor(file)).runMutationTest();
  const count = (states) => results.filter(({ status }) => states.has(status)).length;
  return (100 * count(found)) / (count(found) + count(missed));
}

function optionsFor(file) {
  return {
    mutate: [file],
    plugins: [plugin("@stryker-mutator/vitest-runner"), plugin("./ignoreTexts.mjs")],
    ignorers: ["texts"],
    testRunner: "vitest",
    vitest: { configFile: "scripts/mutation/vitest.config.mjs", related: false },
    coverageAnalysis: "perTest",
    concurrency: 1,
    timeoutMS: 20_000,
    timeoutFactor: 2,
    dryRunTimeoutMinutes: 3,
    ignorePatterns: ["**", "!src/**", "!test/**", "!scripts/mutation/*.mjs", "!*.json", "!vitest.config.ts"],
    // No such file: Stryker cannot rewrite one with TypeScript 7, and ours has no paths to rewrite.
    tsconfigFile: "none.json",
    tempDirName: `${output}/sandbox`,
    cleanTempDir: "always",
    reporters: ["progress-append-only", "clear-text", "json"],
    clearTextReporter: { allowColor: false, logTests: false, reportTests: false, reportScoreTable: false },
    jsonReporter: { fileName: `${output}/${file.replaceAll("/", "-")}.json` },
    disableTypeChecks: false,
  };
}

function plugin(name) {
  return fileURLToPath(import.meta.resolve(name));
}
