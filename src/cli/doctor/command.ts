import { type Command, type Context, exitCodes, type Input } from "../command.js";
import { visibleJSON } from "../text.js";
import { countOf, numberOf, roomURL } from "../values.js";
import { checkDecorators } from "./decorators.js";
import { checkEngine } from "./engine.js";
import { describe, type Finding } from "./finding.js";
import { checkInstallation } from "./installation.js";
import { checkProxy } from "./proxy.js";
import { checkServer } from "./server.js";

export const doctorCommand: Command = {
  name: "doctor",
  usage: "",
  summary: "check the installation, and on request an engine, a server or its proxies",
  args: [0, 0],
  options: {
    redis: { value: "URL", summary: "connect to this Redis, and send a message through it" },
    nats: { value: "URL", summary: "connect to this NATS server, and send a message through it" },
    prefix: { value: "NAME", summary: "the prefix of channels for these checks (default enfilade-doctor)" },
    url: { value: "URL", summary: "connect to this room through its proxies, as a page does" },
    listen: { value: "PORT", summary: "listen in place of the app, and show what proxies make of a handshake" },
    host: { value: "HOST", summary: "where to listen (default localhost)" },
    wait: { value: "SECONDS", summary: "how long to wait for this handshake (default 60; 1 to 3600)" },
    json: { summary: "print the findings as JSON" },
  },
  details: [
    "Checks Node.js, the versions of packages and the decorators of the project in the current folder. With --listen,",
    "stop the app and use its port; then connect through the proxies, or let --url do that. The handshake is refused.",
    "",
    "Exit codes: 0 no problem, 1 a problem, 2 wrong usage, 130 interrupted.",
  ].join("\n"),
  run,
};

async function run(input: Input, context: Context): Promise<number> {
  const findings = await findingsOf(input, context);
  const output = input.has("json") ? visibleJSON({ findings }) : findings.map(describe).join("\n");
  context.stdout.write(`${output}\n`);
  if (context.interrupted.aborted) return exitCodes.interrupted;
  return findings.some(({ level }) => level === "problem") ? exitCodes.failed : exitCodes.done;
}

async function findingsOf(input: Input, context: Context): Promise<Finding[]> {
  const { clock, folder } = context;
  const address = input.text("url");
  const url = address === undefined ? undefined : roomURL(address);
  const listens = input.text("listen") !== undefined;
  const findings = [...checkInstallation(folder), checkDecorators(folder)];
  for (const name of ["redis", "nats"] as const) {
    const engine = input.text(name);
    const prefix = input.text("prefix") ?? "enfilade-doctor";
    if (engine !== undefined) findings.push(...(await checkEngine(name, engine, prefix, clock)));
  }
  if (listens) findings.push(...(await listen(input, context, url)));
  else if (url !== undefined) findings.push(await checkServer(url, clock));
  return findings;
}

function listen(input: Input, { clock, interrupted, stderr }: Context, url: URL | undefined): Promise<Finding[]> {
  const port = countOf(input, "listen", { min: 0, max: 65_535, otherwise: 0 });
  const waitMs = 1_000 * numberOf(input, "wait", { min: 1, max: 3_600, otherwise: 60 });
  const host = input.text("host") ?? "localhost";
  const onListening = (actual: number) => stderr.write(`waiting for a WebSocket handshake on port ${actual}\n`);
  return checkProxy({ port, host, url, waitMs, clock, interrupted, onListening });
}
