import { encodePath, pathOfTarget, roomName } from "../../../src/wire/path.js";
import type { Dice } from "../../../test/support/dice.js";
import { upgradeRequest } from "../../../test/support/raw.js";
import { inParallel, RawSocket } from "../../clients/rawSocket.js";
import type { Row, Scene } from "../../scene.js";
import type { ServerProcess } from "../../serverProcess.js";
import { canonicalOf, type PathForm, pathForms } from "./pathForms.js";
import { reverseProxies, startReverseProxy } from "./reverseProxies.js";

const formsMin = 60;
const endMs = 5_000;
const prefix = "/where";

/** What a handler saw of its path; `undefined` if the client was refused. */
interface Seen {
  readonly path: string;
  readonly authorized: { readonly id: string };
  readonly rooms: readonly string[];
  readonly rest: string;
}

interface Outcome {
  readonly status: string;
  readonly seen: Seen | undefined;
}

async function attempt(port: number, target: string): Promise<Outcome> {
  const client = await RawSocket.dial(port);
  client.socket.write(upgradeRequest(target), "latin1");
  let seen: Seen | undefined;
  client.onFrame = ({ opcode, payload }) => {
    if (opcode === 1) seen = JSON.parse(String(payload)) as Seen;
    client.destroy();
  };
  client.socket.on("data", () => client.head.startsWith("HTTP/1.1 101") || client.destroy());
  const timer = setTimeout(() => client.destroy(), endMs);
  await client.ended;
  clearTimeout(timer);
  return { status: client.head.slice(9, 12), seen };
}

function check(scene: Scene, way: string, form: PathForm, { status, seen }: Outcome): void {
  const name = `${way}, ${form.sent.slice(0, 60)}`;
  const canonical = form.canonical && `${prefix}${form.canonical}`;
  if (seen === undefined) {
    // A proxy may refuse more than the server does.
    const isRefusal = /^4\d\d$/.test(status);
    if (canonical !== undefined && way === "direct") scene.fail(`${name}: expected ${canonical}, came ${status}`);
    else if (!isRefusal) scene.fail(`${name}: expected a refusal with 4xx, came ${status || "nothing"}`);
    return;
  }
  scene.equal(name, [seen.path, seen.authorized.id, seen.rooms], [canonical, canonical, [canonical]]);
  scene.equal(`${name}: the parameter`, `${prefix}/${seen.rest}`, canonical);
}

async function checkForms(scene: Scene, way: string, port: number): Promise<void> {
  await inParallel(pathForms.length, 8, async (index) => {
    const form = pathForms[index];
    if (form !== undefined) check(scene, way, form, await attempt(port, prefix + form.sent));
  });
}

const usual = ["/", "/", "/a", "/b", "Z", "%41", "%C3%A9", "%20", "e%CC%81", "%25", ":", "@", "~", ".x", "?", "*a"];
const pieces = [
  ...[
    "/",
    "/",
    "/",
    "a",
    "b",
    "Z",
    ".",
    "..",
    "*",
    "**",
    "%2e",
    "%2F",
    "%5c",
    "%41",
    "%",
    "%4",
    "%zz",
    "%C3%A9",
    "%C3",
  ],
  ...[
    "\xc3\xa9",
    "\xff",
    "?",
    "#",
    "\\",
    " ",
    "%20",
    "%00",
    "%7f",
    "%E2%80%AE",
    "e%CC%81",
    "%25",
    "%2525",
    ";x=1",
    "~",
  ],
  ...["%F0%9F%91%8B", "%ED%A0%80", "\u0100", "x".repeat(120), "/c/d/e/f", "%ef%bb%bf", ":", "@", "+"],
];

/** The path in the library, in its canonical form; `undefined` if it refuses. */
function tryPath(read: () => string): string | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** Random targets: the library agrees with the second opinion, and with itself. */
function checkProperties(scene: Scene, dice: Dice, count: number): void {
  let [accepted, wrong] = [0, 0];
  for (let n = 0; n < count && wrong < 5; n += 1) {
    let target = dice.roll() < 0.95 ? "/" : "";
    for (let left = dice.from(0, 9); left > 0; left -= 1) target += dice.of(dice.roll() < 0.85 ? usual : pieces);
    const expected = canonicalOf(target);
    const path = tryPath(() => pathOfTarget(target));
    const isStable =
      path === undefined ||
      (tryPath(() => roomName(path)) === path &&
        tryPath(() => pathOfTarget(encodePath(roomName(path)))) === path &&
        tryPath(() => pathOfTarget(`${target}?x=/../y`)) === path);
    if (path !== undefined) accepted += 1;
    if (path === expected && isStable) continue;
    wrong += 1;
    const came = `${JSON.stringify(path)}${isStable ? "" : ", not stable"}`;
    scene.fail(
      `the target ${JSON.stringify(target.slice(0, 200))}: expected ${JSON.stringify(expected)}, came ${came}`,
    );
  }
  scene.show("random targets", count);
  scene.show("random targets accepted", accepted);
}

/** Different forms of a path are one room, and count against the limits as one. */
async function checkLimits(scene: Scene, server: ServerProcess): Promise<void> {
  const forms = ["/caf%C3%A9", "/cafe%CC%81", "/caf%c3%a9/", "/c%61f%C3%A9", "/caf%C3%A9?x=1"];
  const clients = await Promise.all(forms.map((form) => RawSocket.open(server.port, prefix + form)));
  const { members } = await server.room("/where/café");
  scene.equal("members of one room by its forms", members, forms.length);
  // The neighbour has the other room.
  scene.equal("rooms of these members", (await server.status()).rooms, 2);
  for (const client of clients) client.destroy();
}

export const paths: Row = {
  number: 4,
  title: "paths",
  expected: "router, authorize, room, limits and log agree, directly and through proxies",
  seconds: 120,
  async run(scene) {
    scene.atLeast("forms sent raw", pathForms.length, formsMin);
    checkProperties(scene, scene.dice, scene.pick(1_000_000, 50_000));
    const server = await scene.start();
    await checkForms(scene, "direct", server.port);
    await checkLimits(scene, server);
    for (const proxy of reverseProxies) {
      const port = await startReverseProxy(scene, proxy, server.port);
      if (port !== undefined) await checkForms(scene, proxy.name, port);
    }
    const { lines, errors } = await server.log();
    scene.equal("errors of the app", errors.slice(0, 3), []);
    const wild = lines.filter((line) => /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(line));
    scene.equal("log lines with control characters", wild, []);
  },
};
