import { upgradeRequest } from "../../../test/support/raw.js";
import { closeFrame, jsonFrame, textFrame } from "../../clients/frames.js";
import { inParallel, RawSocket } from "../../clients/rawSocket.js";
import type { Row, Scene } from "../../scene.js";
import { rightToken } from "../../server/routes.js";
import type { ServerProcess } from "../../serverProcess.js";
import { allowedOrigins, originCases } from "./originCases.js";

const atOnce = 16;
const endMs = 5_000;
const unauthorized = 4501;

interface Outcome {
  readonly status: string;
  readonly code: number | undefined;
  readonly reason: string;
  /** Everything that came, as one string. */
  readonly text: string;
}

/** Sends a request, and frames if it is upgraded. Then it closes. */
async function attempt(port: number, request: string, frames: readonly Buffer[] = []): Promise<Outcome> {
  const client = await RawSocket.dial(port);
  let text = "";
  let isUpgraded = false;
  client.socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
    if (isUpgraded || !client.head.startsWith("HTTP/1.1 101")) return;
    isUpgraded = true;
    client.write(Buffer.concat([...frames, closeFrame(1000)]));
  });
  client.socket.write(Buffer.from(request, "utf8"));
  const timer = setTimeout(() => client.destroy(), endMs);
  const { code, reason } = await client.ended;
  clearTimeout(timer);
  return { status: client.head.slice(9, 12), code, reason, text };
}

async function checkOrigins(scene: Scene, count: number): Promise<void> {
  const listed = await scene.start({ options: { origins: allowedOrigins } });
  const cases = originCases(scene.dice, count);
  let wrong = 0;
  await inParallel(cases.length, atOnce, async (index) => {
    const one = cases[index];
    if (one === undefined) return;
    const { status } = await attempt(listed.port, upgradeRequest("/echo/a", { Origin: one.origin }));
    const isRight = one.isAllowed ? status === "101" : status === "403" || status === "400" || status === "431";
    if (isRight) return;
    wrong += 1;
    scene.fail(`origin ${JSON.stringify(one.origin)}: expected ${one.isAllowed ? 101 : "403 or 400"}, came ${status}`);
  });
  scene.show("origin cases", cases.length);
  scene.show("wrong answers to origins", wrong);
  const twice = upgradeRequest("/echo/a", { Origin: `${allowedOrigins[0]}\r\nOrigin: https://evil.com` });
  const { status } = await attempt(listed.port, twice);
  if (status === "101") scene.fail("two Origin headers: expected a refusal, came 101");
}

/** With the default, the origin must be the host of the request. */
async function checkSameHost(scene: Scene, server: ServerProcess): Promise<void> {
  const same: readonly (readonly [host: string, origin: string, isAllowed: boolean])[] = [
    ["example.com", "http://example.com", true],
    ["example.com", "https://example.com", true],
    ["example.com:8000", "http://example.com:8000", true],
    ["example.com:8000", "http://example.com", false],
    ["example.com", "http://example.com:8000", false],
    ["example.com", "http://evil.com@example.com", false],
    ["example.com", "http://example.com/", false],
    ["example.com", "http://EXAMPLE.com", false],
    ["example.com", "http://example.com.", false],
    ["127.0.0.1", "http://2130706433", false],
    ["example.com", "null", false],
    ["example.com", "file://example.com", false],
    ["evil.com@example.com", "http://example.com", false],
    ["example.com/x", "http://example.com", false],
  ];
  for (const [Host, Origin, isAllowed] of same) {
    const { status } = await attempt(server.port, upgradeRequest("/echo/a", { Host, Origin }));
    const isRight = isAllowed ? status === "101" : status === "403" || status === "400";
    if (!isRight) scene.fail(`Host ${Host}, origin ${Origin}: expected ${isAllowed ? 101 : 403}, came ${status}`);
  }
}

const base64 = (text: string) => Buffer.from(text).toString("base64url");

/** Tokens, of which one is right; and tokens with an end, before and after it. */
function credentials(dice: { from(from: number, to: number): number }): { token: string; isRight: boolean }[] {
  const wrong = ["", " ", rightToken.toUpperCase(), `${rightToken}x`, rightToken.slice(0, -1), "null", "undefined"];
  const list = [...wrong.map((token) => ({ token, isRight: false })), { token: rightToken, isRight: true }];
  while (list.length < 50) {
    const isRight = list.length % 2 === 0;
    const end = Date.now() + (isRight ? 1 : -1) * dice.from(60_000, 1e9);
    list.push({ token: `expires-${end}`, isRight });
  }
  return list;
}

async function checkCredentials(scene: Scene, server: ServerProcess): Promise<void> {
  const list = credentials(scene.dice);
  await inParallel(list.length, atOnce, async (index) => {
    const { token, isRight } = list[index] ?? { token: "", isRight: false };
    const plain = await attempt(server.port, upgradeRequest("/guarded/a", { Authorization: `Bearer ${token}` }));
    if (plain.status !== (isRight ? "101" : "401")) scene.fail(`token ${token}: came ${plain.status}`);
    const protocols = `enfilade.v1, enfilade.token.${base64(token)}`;
    const request = upgradeRequest("/guarded/a", { "Sec-WebSocket-Protocol": protocols });
    const { status, code } = await attempt(server.port, request);
    const expected = isRight ? 1000 : unauthorized;
    if (status !== "101" || code !== expected) {
      scene.fail(`token ${token} of a v1 client: expected ${expected}, came ${status} ${code}`);
    }
  });
  const right = list.filter(({ isRight }) => isRight).length;
  scene.equal("connections with credentials that were opened", await server.tally("guarded:open"), 2 * right);
  scene.show("credentials", 2 * list.length);
  // Renewed credentials that have ended.
  const client = await RawSocket.openV1(server.port, `/guarded/b?token=${rightToken}`);
  client.write(jsonFrame({ type: "refresh", token: `expires-${Date.now() - 1}` }));
  scene.equal("credentials that were renewed with an end in the past", (await client.ended).code, unauthorized);
}

/** A secret in every place where a client may put one, on requests that succeed and that fail. */
async function checkCanary(scene: Scene, server: ServerProcess): Promise<void> {
  const canary = `canary-${scene.dice.from(1e8, 1e9)}`;
  const protocols = `enfilade.v1, enfilade.token.${base64(canary)}`;
  const targets = [
    "/guarded/a",
    "/echo/a",
    "/nowhere",
    "/work/a",
    "/where/a/../b",
    "/kept/a",
    "/squeezed/%zz",
    "/work",
  ];
  const frames = [canary, `{"event":"say","data":"${canary}"`, `{"event":"no","data":"${canary}","id":1}`].map(
    textFrame,
  );
  const outcomes: Outcome[] = [];
  for (const target of targets) {
    for (const headers of [
      {},
      { "Sec-WebSocket-Protocol": protocols },
      { "Sec-WebSocket-Protocol": `${canary}, ${canary}` },
      { Authorization: `Bearer ${canary}`, Cookie: `session=${canary}`, Origin: "http://evil.example" },
      { Authorization: `Basic ${canary}`, Cookie: canary, "X-Api-Key": canary, "Sec-WebSocket-Version": "7" },
    ]) {
      const request = upgradeRequest(`${target}?token=${canary}&client=${canary}-0123456789&since=${canary}`, headers);
      outcomes.push(await attempt(server.port, request, frames));
    }
  }
  for (const form of [canary, base64(canary)]) {
    const { lines, errors } = await server.log();
    const places: Readonly<Record<string, string>> = {
      "stdout and stderr": server.output,
      "the log": lines.join("\n"),
      "app.on(error)": errors.join("\n"),
      "app.status()": JSON.stringify(await server.status()),
      "the answers to handshakes": outcomes.map(({ text }) => text.split("\r\n\r\n")[0]).join("\n"),
      "the bodies of refusals": outcomes.map(({ status, text }) => (status === "101" ? "" : text)).join("\n"),
      "close reasons": outcomes.map(({ reason }) => reason).join("\n"),
    };
    for (const [place, text] of Object.entries(places)) {
      const at = text.indexOf(form);
      if (at !== -1)
        scene.fail(`a secret in ${place}: expected none, came ${text.slice(Math.max(0, at - 160), at + 40)}`);
    }
  }
}

export const origins: Row = {
  number: 5,
  title: "origins, credentials, secrets",
  expected: "refused before the 101; the canary in no output",
  seconds: 60,
  async run(scene) {
    await checkOrigins(scene, scene.pick(1_000, 300));
    const server = await scene.start();
    await checkSameHost(scene, server);
    await checkCredentials(scene, server);
    await checkCanary(scene, server);
  },
};
