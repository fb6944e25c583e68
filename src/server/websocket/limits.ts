import type { TransportOptions } from "../../connection/transport.js";

/** A full TCP segment has at least 536 bytes (RFC 9293 3.7.1), so a message in full segments is always received. */
const bytesPerPieceMin = 512;

/** In how many pieces a frame may arrive. */
export function piecesMaxOf({ bufferedChunksMax, messageBytesMax }: TransportOptions): number {
  return Math.max(bufferedChunksMax, Math.ceil(messageBytesMax / bytesPerPieceMin));
}
