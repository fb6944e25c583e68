import type { Framing } from "../../connection/transport.js";
import { deflatedFrame } from "./deflate.js";
import { encodeFrame, Opcode } from "./frame.js";

/** Encodes messages as frames of RFC 6455. */
export const webSocketFraming: Framing = {
  encode: (data) => encodeFrame(data, typeof data === "string" ? Opcode.text : Opcode.binary),
};

/** Encodes messages for connections with permessage-deflate. */
export const deflateFraming: Framing = { encode: deflatedFrame, isDeflated: true };
