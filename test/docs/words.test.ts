import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";
import { root } from "./pages.js";

/** Words that hide the subject of a sentence, or that are hard for readers whose first language is not English. */
const banned = "\\b(whoever|whatever|somebody|nobody|everybody|anew|good-bye)\\b|is told|all the same";
const places = [
  "README.md",
  "docs",
  "PROTOCOL.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  "src",
  "example-app",
  "bench/README.md",
];

it("uses plain words in documentation and comments", () => {
  const { stdout, status } = spawnSync("git", ["grep", "--untracked", "-niE", banned, "--", ...places], {
    cwd: root,
    encoding: "utf8",
  });
  expect(stdout).toBe("");
  // 1 means no match; 0 is a match, and a higher status is a failure of git.
  expect(status).toBe(1);
});
