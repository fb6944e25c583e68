import type { IncomingHttpHeaders } from "node:http";
import Negotiator from "negotiator";
import type { RouteHttp } from "./routeHttp.js";

/** The forms in which a client can read a room. */
export type Representation = "text/event-stream" | "application/json";

/** The form for a `GET`, by its `Accept`: of equally good ones the first; `undefined` if it accepts none. */
export function representationOf(
  headers: IncomingHttpHeaders,
  { events, history }: RouteHttp,
): Representation | undefined {
  const offered: Representation[] = [];
  if (events) offered.push("text/event-stream");
  if (history) offered.push("application/json");
  const preferred = new Negotiator({ headers }).mediaType(offered);
  return offered.find((one) => one === preferred);
}

/** Whether the client of a `POST` asks for an event stream. A client that accepts anything does not. */
export function wantsStream(headers: IncomingHttpHeaders): boolean {
  return new Negotiator({ headers }).mediaType(["application/json", "text/event-stream"]) === "text/event-stream";
}

/** `curl -d` sends the last one, and some clients none. */
const textTypes = ["application/json", "text/plain", "application/x-www-form-urlencoded", ""];

/** The kind of message that a body is, by its `Content-Type`; `undefined` if the type is not supported. */
export function messageKindOf(headers: IncomingHttpHeaders): "text" | "binary" | undefined {
  const [type = "", ...params] = (headers["content-type"] ?? "").split(";").map((part) => part.trim().toLowerCase());
  if ((headers["content-encoding"] ?? "identity") !== "identity") return undefined;
  if (type === "application/octet-stream") return "binary";
  const charset = params.find((one) => one.startsWith("charset="));
  const isUTF8 = charset === undefined || /^charset="?utf-?8"?$/.test(charset);
  return textTypes.includes(type) && isUTF8 ? "text" : undefined;
}
