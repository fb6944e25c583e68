import { once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type Clock, deferred, timeIsUp, within } from "../../connection/clock.js";
import { sourceFinder } from "../../server/access/proxies.js";
import { v1 } from "../../wire/frames.js";
import { Sockets } from "../socket.js";
import { type Finding, ok, problem, warning } from "./finding.js";
import { originOf } from "./server.js";

export interface ProxyCheck {
  readonly port: number;
  readonly host: string;
  /** The URL that leads through the proxies to the port; `undefined` if the user connects. */
  readonly url: URL | undefined;
  readonly waitMs: number;
  readonly clock: Clock;
  readonly interrupted: AbortSignal;
  /** Called when the port listens. */
  readonly onListening: (port: number) => void;
}

/** Characters of a field that are shown. */
const fieldMax = 200;
const fields = ["forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "via"];

/**
 * Listens in place of the app, waits for one WebSocket handshake, and explains what the proxies made of it. If it is
 * interrupted before, there is nothing to say.
 */
export async function checkProxy(check: ProxyCheck): Promise<Finding[]> {
  const { promise: arrived, resolve } = deferred<IncomingMessage>();
  const server = listenFor(resolve);
  await listen(server, check);
  const sockets = new Sockets(check.url === undefined ? {} : { origin: originOf(check.url) });
  try {
    // Its answer is a refusal in any case.
    if (check.url !== undefined) sockets.open(check.url.href, [v1]);
    const aborted = once(check.interrupted, "abort").then((): typeof timeIsUp => timeIsUp);
    const request = await within(check.clock, check.waitMs, Promise.race([arrived, aborted]));
    if (request !== timeIsUp) return explain(request, check.url);
    if (check.interrupted.aborted) return [];
    const text = `no WebSocket handshake arrived on port ${check.port} within ${check.waitMs / 1_000} s`;
    return [problem(text, "check that the proxy forwards to this port, and that this URL leads to the proxy")];
  } finally {
    server.closeAllConnections();
    server.close();
    await sockets.closeAll(check.clock);
  }
}

/** A server that reports handshakes. The key reaches it also if a proxy removed the fields of the upgrade. */
function listenFor(onHandshake: (request: IncomingMessage) => void): Server {
  const server = createServer((request, response) => {
    if (request.headers["sec-websocket-key"] !== undefined) onHandshake(request);
    response.end("enfilade doctor waits for a WebSocket handshake\n");
  });
  return server.on("upgrade", (request, socket) => {
    socket.on("error", () => socket.destroy());
    socket.end("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    onHandshake(request);
  });
}

async function listen(server: Server, { port, host, onListening }: ProxyCheck): Promise<void> {
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (error) {
    const isTaken = error instanceof Error && "code" in error && error.code === "EADDRINUSE";
    throw isTaken ? new Error(`port ${port} is in use; stop the app, or choose another port`) : error;
  }
  // A server that listens on a port has this address.
  onListening((server.address() as AddressInfo).port);
}

function explain(request: IncomingMessage, url: URL | undefined): Finding[] {
  return [checkUpgrade(request), checkHost(request, url), ...describeFields(request), checkTrust(request, url)];
}

function checkUpgrade({ headers, httpVersion }: IncomingMessage): Finding {
  const upgrade = headers.upgrade?.toLowerCase() === "websocket";
  const connection = /\bupgrade\b/i.test(headers.connection ?? "");
  if (httpVersion !== "1.1") return problem(`the proxy uses HTTP/${httpVersion}`, "set proxy_http_version 1.1");
  if (upgrade && connection) return ok("Upgrade and Connection arrive");
  const missing = [upgrade ? [] : ["Upgrade"], connection ? [] : ["Connection"]].flat().join(" and ");
  return problem(`the proxy removed ${missing}`, "let it pass on both; see docs/deployment.md");
}

function checkHost({ headers }: IncomingMessage, url: URL | undefined): Finding {
  const host = headers.host ?? "";
  if (url === undefined || host === url.host) return ok(`Host arrives as ${host}`);
  const advice = "let the proxy pass on Host, such as proxy_set_header Host $http_host; else every page is refused";
  return warning(`Host arrives as ${host}, not as ${url.host}`, advice);
}

function describeFields({ headers }: IncomingMessage): Finding[] {
  return fields
    .filter((name) => headers[name] !== undefined)
    .map((name) => ok(`${name} arrives: ${String(headers[name]).slice(0, fieldMax)}`));
}

/** The number of proxies is that of the entries: the client of this check has sent none. */
function checkTrust({ headers, socket }: IncomingMessage, url: URL | undefined): Finding {
  const peer = { remoteAddress: socket.remoteAddress ?? "", secure: false, host: headers.host };
  const [standard, common] = ["forwarded", "x-forwarded-for"].map((name) => headers[name]);
  const proxies = String(common ?? standard ?? "")
    .split(",")
    .filter((entry) => entry.trim() !== "").length;
  if (proxies === 0) {
    const advice = "without a proxy, leave trustProxy unset; else let the proxy set X-Forwarded-For";
    return warning(`no proxy says who the client is; it would be ${peer.remoteAddress}`, advice);
  }
  const source = sourceFinder(proxies)(headers, peer);
  if (source === peer) {
    const advice =
      common !== undefined && standard !== undefined
        ? "Forwarded and X-Forwarded-For differ, and only what both say counts; let the proxy remove one"
        : "the entry of the last proxy is no address; let it write the address of its client";
    return warning("the fields of the proxy do not say who the client is", advice);
  }
  if (url?.protocol === "wss:" && !source.secure) {
    return warning(`trustProxy: ${proxies}, but TLS is not reported`, "let the proxy set X-Forwarded-Proto to https");
  }
  const secure = source.secure ? "with" : "without";
  return ok(`set trustProxy: ${proxies}; the client is then ${source.remoteAddress}, ${secure} TLS`);
}
