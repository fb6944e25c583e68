import { clientFrame } from "../../../support/raw.js";

export const text = (data: string) => clientFrame(0x81, data);
export const ping = (data: string) => clientFrame(0x89, data);
export const close = (code: number, reason = "") =>
  clientFrame(0x88, Buffer.concat([Buffer.of(code >> 8, code & 255), Buffer.from(reason)]));
export const fault = clientFrame(0xc1, "compressed");
export const texts = (count: number) => Array.from({ length: count }, (_, n) => text(`text ${n}`));
export const all = (...frames: readonly Buffer[]) => Buffer.concat(frames);
