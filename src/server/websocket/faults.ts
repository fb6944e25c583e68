import { CloseCode } from "../../wire/closeCodes.js";

/** Why a connection fails: its close code, and a fixed phrase. */
export type Fault = readonly [code: number, phrase: string];

/** The faults of clients that break the protocol or a limit. */
export const Faults = {
  protocol: [1002, "protocol error"],
  tooBig: [CloseCode.messageTooBig, "message too big"],
  fragments: [CloseCode.policyViolation, "too many fragments"],
  pieces: [CloseCode.policyViolation, "message in too many pieces"],
  notUtf8: [CloseCode.invalidPayload, "text is not UTF-8"],
  compression: [CloseCode.invalidPayload, "bad compressed data"],
} as const satisfies Readonly<Record<string, Fault>>;
