import { deferred, timeIsUp, within } from "../../connection/clock.js";
import { type Command, type Context, exitCodes, type Input, UsageError } from "../command.js";
import { Sockets } from "../socket.js";
import { headersOf, numberOf, roomURL } from "../values.js";
import { contentOf, type Format, LineError } from "./content.js";
import type { Link } from "./link.js";
import { PlainLink } from "./plainLink.js";
import { RoomLink } from "./roomLink.js";
import { openScreen, type Screen } from "./screen.js";

/** Lines without an answer, above which no further line is read. The client sends at most 128. */
const unansweredMax = 64;

export const connectCommand: Command = {
  name: "connect",
  usage: "URL",
  summary: "connect to a room, send lines and show messages",
  args: [1, 1],
  options: {
    json: { summary: "send each line as JSON, and show messages as JSON" },
    event: { value: "NAME", summary: "send each line as the data of this event, and show the reply" },
    plain: { summary: "connect without enfilade.v1: no reconnect, no positions, no presence" },
    token: { value: "TOKEN", summary: "credentials for authorize; better in the variable ENFILADE_TOKEN" },
    header: { value: '"NAME: VALUE"', summary: "a header of the handshake; may be given several times" },
    since: { value: "POSITION", summary: "begin after EPOCH:OFFSET, or with all that is kept: --since all" },
    stay: { summary: "stay connected when the input has ended, until Ctrl-C" },
    wait: { value: "SECONDS", summary: "how long to wait for answers of the server (default 10)" },
  },
  details: [
    "A line is sent when you press Enter; empty lines are not sent. Ctrl-D or Ctrl-C ends. A message begins with <,",
    "after its offset if the room has a history; everything that begins with * is not a message. With a pipe, all",
    "lines are sent, stdout has only the messages, and stderr has the rest. Control characters are shown as escapes.",
    "",
    "Exit codes: 0 the input has ended and all lines were answered, or the server closed with 1000; 1 the server",
    "refused or closed, or could not be reached at first, or a line was refused, lost or not answered in time;",
    "2 wrong usage; 130 interrupted before the input had ended.",
  ].join("\n"),
  run,
};

async function run(input: Input, context: Context): Promise<number> {
  const format = { isJSON: input.has("json"), event: input.text("event") };
  const waitMs = 1_000 * numberOf(input, "wait", { min: 0, max: 86_400, otherwise: 10 });
  const sockets = new Sockets(headersOf(input));
  const url = urlOf(input);
  checkPlain(input);
  const screen = openScreen(context);
  const link = openLink(input, context, { url, sockets, screen, isJSON: format.isJSON });
  const session = { context, screen, link, format, waitMs };
  try {
    return await talk(session, input.has("stay"));
  } finally {
    screen.close();
    link.close();
    await sockets.closeAll(context.clock);
  }
}

function urlOf(input: Input): URL {
  const url = roomURL(input.args[0] ?? "");
  const since = input.text("since");
  if (since === undefined) return url;
  if (since !== "all" && !/^[\w-]{1,64}:\d{1,16}$/.test(since)) {
    throw new UsageError(`--since takes a position such as Qm3x-1:41, or all; got "${since}"`);
  }
  // After a position of an unknown epoch, the server sends everything that it keeps (PROTOCOL.md).
  url.searchParams.set("since", since === "all" ? "all:0" : since);
  return url;
}

function checkPlain(input: Input): void {
  if (!input.has("plain")) return;
  for (const name of ["token", "since"]) {
    if (input.text(name) !== undefined) throw new UsageError(`--${name} needs enfilade.v1; leave out --plain`);
  }
}

interface LinkParts {
  readonly url: URL;
  readonly sockets: Sockets;
  readonly screen: Screen;
  readonly isJSON: boolean;
}

function openLink(input: Input, { stdin, env }: Context, parts: LinkParts): Link {
  if (input.has("plain")) return new PlainLink(parts);
  return new RoomLink({ ...parts, token: input.text("token") ?? env.ENFILADE_TOKEN, isPatient: stdin.isTTY });
}

interface Session {
  readonly context: Context;
  readonly screen: Screen;
  readonly link: Link;
  readonly format: Format;
  readonly waitMs: number;
}

/** Resolves with the exit code when the input has ended, or the link, or the user has interrupted. */
async function talk(session: Session, stays: boolean): Promise<number> {
  const { screen, link, context } = session;
  const state = { hasSentAll: false, isTimely: true, refused: 0 };
  const sending = sendLines(session, state).then(async () => {
    state.hasSentAll = true;
    if (stays && state.isTimely) await new Promise(() => undefined);
    return "sent" as const;
  });
  const first = await Promise.race([sending, link.ended, whenAborted(context.interrupted)]);
  if (first === "interrupted") return stays && state.hasSentAll ? exitCodes.done : exitCodes.interrupted;
  if (first !== "sent") screen.note(`closed: ${first.text}`);
  const isEnd = first === "sent" ? state.isTimely : first.isNormal && (state.hasSentAll || context.stdin.isTTY);
  const unanswered = `the server did not answer ${link.unanswered} ${link.unanswered === 1 ? "line" : "lines"}`;
  if (!state.isTimely) screen.note(`${unanswered} in time`);
  else if (!isEnd && link.unanswered > 0) screen.note(unanswered);
  return isEnd && link.failures + state.refused === 0 ? exitCodes.done : exitCodes.failed;
}

/** Sends the lines of the input, each when few enough wait for an answer. */
async function sendLines(session: Session, state: { isTimely: boolean; refused: number }): Promise<void> {
  const { screen, link, format, context, waitMs } = session;
  const isAnswered = async (count: number) => {
    if (link.unanswered <= count) return true;
    state.isTimely = (await within(context.clock, waitMs, link.whenAtMost(count))) !== timeIsUp;
    return state.isTimely;
  };
  // A user may type at once. Lines of a pipe wait, so that they stay there if the room cannot be reached.
  if (!context.stdin.isTTY) await link.opened;
  for await (const line of screen.lines) {
    if (line === "") continue;
    try {
      link.send(contentOf(line, format));
    } catch (error) {
      if (!(error instanceof LineError)) throw error;
      state.refused += context.stdin.isTTY ? 0 : 1;
      screen.note(error.message);
    }
    if (!(await isAnswered(unansweredMax))) return;
  }
  await isAnswered(0);
}

function whenAborted(signal: AbortSignal): Promise<"interrupted"> {
  const { promise, resolve } = deferred<"interrupted">();
  if (signal.aborted) resolve("interrupted");
  signal.addEventListener("abort", () => resolve("interrupted"), { once: true });
  return promise;
}
