import type { ConnectionRequest } from "../connection/request.js";
import type { Transport } from "../connection/transport.js";
import type { EventProtocol } from "../wire/events/protocol.js";
import { v1 } from "../wire/frames.js";
import type { Dialect } from "./dialect.js";
import { plainDialect } from "./plain.js";
import { V1Dialect } from "./v1/dialect.js";
import { v1Encoder } from "./v1/encoder.js";
import type { Receipts } from "./v1/receipts.js";

/** How a client is spoken to: by the subprotocol that was agreed on. */
export function dialectOf(
  { framing, protocol }: Transport,
  request: ConnectionRequest,
  eventProtocol: EventProtocol,
  receipts: Receipts,
): Dialect {
  if (protocol !== v1) return plainDialect(framing, eventProtocol);
  return new V1Dialect(v1Encoder(framing, eventProtocol), request, receipts);
}
