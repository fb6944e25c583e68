import { hash } from "node:crypto";
import { Socket } from "node:net";
import type { UpgradeRequest } from "./upgrade.js";

/** RFC 6455 1.3: the accept key is a hash of the key of the client and this text. */
const acceptGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/**
 * Answers a valid handshake (RFC 6455 4.2.2).
 *
 * @param subprotocols Those of the server, the preferred first.
 * @returns the subprotocol, `""` for none; `undefined` if the client has gone.
 */
export function acceptUpgrade(
  { incoming, socket }: UpgradeRequest,
  subprotocols: readonly string[],
): string | undefined {
  if (!socket.readable || !socket.writable) {
    socket.destroy();
    return undefined;
  }
  const { headers } = incoming;
  const offered = offeredSubprotocols(headers["sec-websocket-protocol"]) ?? [];
  // Never answers with an unknown name: a client may send a token as a subprotocol.
  const protocol = subprotocols.find((name) => offered.includes(name)) ?? "";
  const accept = hash("sha1", `${headers["sec-websocket-key"]}${acceptGuid}`, "base64");
  const protocolLine = protocol === "" ? "" : `Sec-WebSocket-Protocol: ${protocol}\r\n`;
  socket.write(
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      `Sec-WebSocket-Accept: ${accept}\r\n${protocolLine}\r\n`,
  );
  if (socket instanceof Socket) {
    // The time limits of the HTTP server end with the handshake.
    socket.setTimeout(0);
    socket.setNoDelay();
  }
  return protocol;
}

/** RFC 6455 4.1: a subprotocol is a token of RFC 9110 5.6.2. To trim it by an expression would take quadratic time. */
const listedToken = /^[ \t]*([!#$%&'*+\-.^_`|~\w]+)[ \t]*$/;

/** The subprotocols that a client offers; `undefined` if the header is not valid, such as for a repeated name. */
export function offeredSubprotocols(header: string | undefined): readonly string[] | undefined {
  if (header === undefined) return [];
  const names = new Set<string>();
  for (const item of header.split(",")) {
    const [, name] = listedToken.exec(item) ?? [];
    if (name === undefined || names.has(name)) return undefined;
    names.add(name);
  }
  return [...names];
}
