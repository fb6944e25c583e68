import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

it("compiles the valid code, and rejects each expected error", async () => {
  const args = ["-p", "test/types/tsconfig.json", "--noEmit"];
  const compiler = spawn("node_modules/.bin/tsc", args, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  const [output, [code]] = await Promise.all([text(compiler.stdout), once(compiler, "exit")]);
  expect(output).toBe("");
  expect(code).toBe(0);
}, 120_000);
