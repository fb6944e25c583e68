import type { IncomingMessage } from "node:http";
import { HttpError } from "../../errors.js";

/**
 * Reads the body of a call as a JSON object.
 *
 * @throws HttpError (as a rejection) 415 for another type, 413 above `bytesMax`, 400 when it is no JSON object,
 *   500 when middleware has read it already.
 */
export async function readBody(raw: IncomingMessage, bytesMax: number): Promise<Readonly<Record<string, unknown>>> {
  const type = raw.headers["content-type"] ?? "";
  if (!/^application\/json(?:\s*;|$)/i.test(type)) throw new HttpError(415, "The body must be application/json");
  if (raw.readableEnded) {
    const hint = "pass the request to app.requestListener before anything that reads bodies, such as express.json()";
    throw new HttpError(500, `The body was read before it reached the admin; ${hint}`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  // Node's streams of requests have chunks of bytes.
  for await (const chunk of raw as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new HttpError(413, `The body has more than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  const value = parsed(Buffer.concat(chunks).toString());
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  throw new HttpError(400, "The body must be a JSON object");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
