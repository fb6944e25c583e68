import { spawnSync } from "node:child_process";

/** A part of the system that npm does not install. */
interface Part {
  readonly command: string;
  /** The arguments that check whether the command works. */
  readonly probe: readonly string[];
  readonly install: string;
}

const parts = {
  chromium: { command: "/usr/bin/chromium", probe: ["--version"], install: "apt-get install chromium" },
  // Debian installs the module for this Python, not for another one on the PATH.
  python: {
    command: "/usr/bin/python3",
    probe: ["-c", "import websockets"],
    install: "apt-get install python3 python3-websockets",
  },
  curl: { command: "/usr/bin/curl", probe: ["--version"], install: "apt-get install curl" },
  redis: { command: "/usr/bin/redis-server", probe: ["--version"], install: "apt-get install redis-server" },
  nats: { command: "/usr/sbin/nats-server", probe: ["--version"], install: "apt-get install nats-server" },
  nginx: { command: "/usr/sbin/nginx", probe: ["-v"], install: "apt-get install nginx" },
  haproxy: { command: "/usr/sbin/haproxy", probe: ["-v"], install: "apt-get install haproxy" },
} satisfies Record<string, Part>;

export type PartName = keyof typeof parts;

/** The path of a part's command. */
export function command(name: PartName): string {
  return parts[name].command;
}

/**
 * Returns true if `tests` have to be skipped because a part is missing, and prints how to install it.
 *
 * ```ts
 * describe.skipIf(missing("chromium", "the example app in a browser"))("the example app", () => { … });
 * ```
 *
 * @throws Error in CI, where no test is skipped.
 */
export function missing(name: PartName, tests: string): boolean {
  const { command, probe, install } = parts[name];
  if (spawnSync(command, probe).status === 0) return false;
  const complaint = `${name} is missing at ${command} for the tests of ${tests}; get it with: ${install}`;
  if (process.env.CI) throw new Error(complaint);
  console.warn(`left out: ${complaint}`);
  return true;
}
