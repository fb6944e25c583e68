import { constants, deflateRawSync } from "node:zlib";
import { encodeFrame, Opcode } from "./frame.js";

/** RFC 7692 6: the first reserved bit marks a compressed message. */
const RSV1 = 0x40;
/** RFC 7692 7.2.1: an empty stored block ends each flushed message, and is left out. */
const tailBytes = 4;
/** Below it compression saves no packet. */
const deflateBytesMin = 1024;

/**
 * The extension offers of a client (RFC 6455 9.1) less those for a smaller window than the shared frames are made with.
 *
 * A client that has no other offer goes without compression.
 */
export function sharedOffers(offers: string): string | undefined {
  const fits = (offer: string) => (/server_max_window_bits\s*=\s*"?(\d+)/.exec(offer)?.[1] ?? "15") === "15";
  const shared = offers
    .split(",")
    .map((offer) => offer.trim())
    .filter(fits);
  return shared.length === 0 ? undefined : shared.join(", ");
}

/**
 * The frame of a message for a connection with permessage-deflate, which all of them may share.
 *
 * That is possible since the server agrees on `server_no_context_takeover` only: no frame depends on another.
 */
export function deflatedFrame(data: string | Uint8Array): Uint8Array {
  const opcode = typeof data === "string" ? Opcode.text : Opcode.binary;
  if (data.length < deflateBytesMin) return encodeFrame(data, opcode);
  const bytes = deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH });
  return encodeFrame(bytes.subarray(0, -tailBytes), RSV1 | opcode);
}
