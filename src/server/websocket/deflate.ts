import { constants, deflateRawSync } from "node:zlib";
import { encodeFrame, Opcode } from "./frame.js";

/** RFC 7692 6: the first reserved bit marks a compressed message. */
const RSV1 = 0x40;
/** RFC 7692 7.2.1: the empty stored block at the end of each flushed message is removed. */
const tailBytes = 4;
/** A shorter message fits into one packet without compression. */
const deflateBytesMin = 1024;

/**
 * Removes the extension offers (RFC 6455 9.1) with a smaller window than that of the shared frames.
 *
 * A client without another offer gets no compression.
 */
export function usableOffers(offers: string): string | undefined {
  const isUsable = (offer: string) => (/server_max_window_bits\s*=\s*"?(\d+)/.exec(offer)?.[1] ?? "15") === "15";
  const usable = offers
    .split(",")
    .map((offer) => offer.trim())
    .filter(isUsable);
  return usable.length === 0 ? undefined : usable.join(", ");
}

/**
 * Encodes a message for connections with permessage-deflate. All of them can share the frame.
 *
 * The server always negotiates `server_no_context_takeover`, so no frame depends on an earlier one.
 */
export function deflatedFrame(data: string | Uint8Array): Uint8Array {
  const opcode = typeof data === "string" ? Opcode.text : Opcode.binary;
  if (data.length < deflateBytesMin) return encodeFrame(data, opcode);
  const bytes = deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH });
  return encodeFrame(bytes.subarray(0, -tailBytes), RSV1 | opcode);
}
