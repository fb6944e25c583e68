import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { patient, run } from "./process.js";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));

describe("enfilade", patient, () => {
  it("prints its commands with --help, also without arguments, and its version with --version", async () => {
    const help = await run(["--help"]);
    expect(help).toMatchObject({ code: 0, err: "", out: expect.stringContaining("connect URL") });
    expect(await run([])).toEqual(help);
    expect(await run(["--version"])).toEqual({ code: 0, err: "", out: `${version}\n` });
  });

  it.each(["connect", "bench", "doctor", "init", "asyncapi"])(
    "describes %s with its options and its exit codes",
    async (name) => {
      const { code, out } = await run([name, "--help"]);
      expect([code, out]).toEqual([0, expect.stringContaining("  --help ")]);
      expect(out).toContain("Exit codes: 0");
      const wide = out.split("\n").filter((line) => line.length > 120);
      expect(wide).toEqual([]);
    },
  );

  it.each([
    [["conect"], 'there is no command "conect"; did you mean "connect"?'],
    [["connect", "ws://x/", "--jsn"], 'enfilade connect has no option "--jsn"; did you mean "--json"?'],
    [["connect", "ws://x/", "-j"], 'enfilade connect has no option "-j"'],
    [["connect", "ws://x/", "--token"], "--token takes a value, got nothing"],
    [["connect", "ws://x/", "--json=yes"], "Option '--json' does not take an argument"],
    [["connect"], "enfilade connect takes URL, got nothing; see enfilade connect --help"],
    [["connect", "/chat/a"], 'a URL such as ws://localhost:8000/chat/general is expected, got "/chat/a"'],
    [["connect", "8000"], 'a URL such as ws://localhost:8000/chat/general is expected, got "8000"'],
    [["asyncapi", "a.js", "b.js"], 'enfilade asyncapi takes [MODULE], got "a.js" "b.js"'],
    [["asyncapi", "--server", "example.com"], '--server takes a URL such as wss://example.com, got "example.com"'],
    [["doctor", "a"], 'enfilade doctor takes no argument, got "a"'],
    [["connect", "a", "b"], 'enfilade connect takes URL, got "a" "b"'],
    [["connect", "ftp://x/"], 'a URL such as ws://localhost:8000/chat/general is expected, got "ftp://x/"'],
    [["connect", "ws://x/", "--wait", "-1"], '--wait takes a number from 0 to 86400, got "-1"'],
    [["connect", "ws://x/", "--since", "--json"], "Option '--since' argument is ambiguous."],
    [["connect", "ws://x/", "--since", "--", "-"], "Option '--since' argument is ambiguous."],
    [["connect", "ws://x/", "--wait", "1e9"], '--wait takes a number from 0 to 86400, got "1e9"'],
    [["connect", "ws://x/", "--header", "a\nb"], '--header takes "Name: value"'],
    [["connect", "ws://x/", "--since", "now"], "--since takes a position such as Qm3x-1:41, or all"],
    [["connect", "ws://x/", "--plain", "--token", "t"], "--token needs enfilade.v1; leave out --plain"],
  ])("exits with 2 and one line for %j", async (args, complaint) => {
    const { code, out, err } = await run(args);
    expect([code, out]).toEqual([2, ""]);
    expect(err.startsWith(`enfilade: ${complaint}`), err).toBe(true);
    expect(err.indexOf("\n")).toBe(err.length - 1);
  });
});
