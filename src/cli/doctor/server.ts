import { type Clock, deferred, timeIsUp, within } from "../../connection/clock.js";
import { isFinal } from "../../wire/closeCodes.js";
import { v1 } from "../../wire/frames.js";
import { meaningOf, messageOf } from "../failure.js";
import { Sockets, type WebSocket } from "../socket.js";
import { type Finding, ok, problem, warning } from "./finding.js";

/** Milliseconds for the handshake and the welcome. */
const answerMs = 10_000;

/** How a server answered a handshake. */
type Answer =
  | { readonly kind: "welcome"; readonly frame: string }
  | { readonly kind: "closed"; readonly code: number; readonly reason: string }
  | { readonly kind: "failed"; readonly reason: string };

/** The origin of a page on the same host, which every app accepts. */
export function originOf(url: URL): string {
  return `${url.protocol.replace("ws", "http")}//${url.host}`;
}

/** Connects to a running server as a page on its host does, and explains its answer. */
export async function checkServer(url: URL, clock: Clock): Promise<Finding> {
  const sockets = new Sockets({ origin: originOf(url) });
  try {
    const socket = sockets.open(url.href, [v1]);
    const answer = await within(clock, answerMs, answerOf(socket));
    if (answer !== timeIsUp) return explain(url, answer);
    if (socket.readyState === socket.OPEN) return noWelcome(url);
    return problem(`${url} did not answer`, "check that the proxy forwards to the app");
  } finally {
    await sockets.closeAll(clock);
  }
}

function answerOf(socket: WebSocket): Promise<Answer> {
  const { promise, resolve } = deferred<Answer>();
  socket.on("message", (data) => resolve({ kind: "welcome", frame: String(data) }));
  socket.on("error", (error) => resolve({ kind: "failed", reason: messageOf(error) }));
  socket.on("close", (code, reason) => resolve({ kind: "closed", code, reason: String(reason) }));
  return promise;
}

function explain(url: URL, answer: Answer): Finding {
  if (answer.kind === "welcome") return explainWelcome(url, answer.frame);
  if (answer.kind === "closed") {
    const { code, reason } = answer;
    const text = `${url} upgrades, and closed with ${code} ${reason}`.trim();
    if (code === 4504) return warning(text, "the path has no route; pass the URL of a room");
    const advice =
      "authorize refused the client, or the proxy changes Host, so that the origin of a page is another one";
    return isFinal(code) ? warning(text, advice) : problem(text, "see the log of the server");
  }
  const [, status] = /response: (\d+)$/.exec(answer.reason) ?? [];
  return problem(`${url}: ${meaningOf(answer.reason)}`, adviceFor(Number(status)));
}

function explainWelcome(url: URL, frame: string): Finding {
  const [, heartbeat] = /"heartbeatMs":(\d+)/.exec(frame) ?? [];
  if (heartbeat === undefined) return noWelcome(url);
  const limit = heartbeat === "0" ? "; there is no heartbeat" : `; timeouts of proxies must be above ${heartbeat} ms`;
  return ok(`${url} speaks ${v1}${limit}`);
}

function noWelcome(url: URL): Finding {
  return warning(`${url} upgrades, but sent no welcome`, "is it a server of enfilade?");
}

/** The usual cause of a status in place of an upgrade. */
function adviceFor(status: number): string {
  if (status === 426) return "the proxy removed Upgrade and Connection; see docs/deployment.md";
  if (status === 505) return "the proxy does not use HTTP/1.1: set proxy_http_version 1.1";
  if (status === 403) return "the origin was refused: the proxy must pass on Host; see docs/deployment.md";
  if (status === 404) return "no route has this path, or the proxy sends it elsewhere";
  if (status >= 502 && status <= 504) return "the proxy does not reach the app, or the app is full or closing";
  if (status >= 300 && status < 400) return "this is a redirect; pass the URL that it leads to";
  return "check the address, and the log of the proxy and of the server";
}
