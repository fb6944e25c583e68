import { tokenPrefix } from "../../wire/frames.js";
import type { RefusedRequest } from "./messages.js";

/** Headers that hold credentials. */
const secretHeaders = ["authorization", "cookie", "proxy-authorization"];
const hidden = "[hidden]";

/** A refused request for diagnostics, without credentials: those of its headers, its subprotocols and its query. */
export function withoutSecrets({ url, headers, remoteAddress }: RefusedRequest): RefusedRequest {
  const shown = { ...headers };
  for (const name of secretHeaders) if (shown[name] !== undefined) shown[name] = hidden;
  const offered = shown["sec-websocket-protocol"];
  if (offered !== undefined) {
    const names = offered.split(",").map((name) => name.trim());
    shown["sec-websocket-protocol"] = names
      .map((name) => (name.startsWith(tokenPrefix) ? tokenPrefix + hidden : name))
      .join(", ");
  }
  return { url: url.replace(/\?.*$/s, `?${hidden}`), headers: shown, remoteAddress };
}
