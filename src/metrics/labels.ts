import { ABNORMAL, CloseCode, NO_CODE } from "../wire/closeCodes.js";

/** The close codes of this library, and those of the IANA registry that only clients send (RFC 6455 7.4.1). */
const closeCodes: ReadonlySet<number> = new Set([...Object.values(CloseCode), NO_CODE, ABNORMAL, 1002, 1010, 1014]);

/** The close code as a label. A client may choose any code from 3000 to 4999: unknown ones are `other`. */
export function closeCodeLabel(code: number): string {
  return closeCodes.has(code) ? String(code) : "other";
}

/** The status of a refusal as a label: from 300 to 599, as an `HttpError` has it; else `other`. */
export function statusLabel(status: number): string {
  return Number.isInteger(status) && status >= 300 && status <= 599 ? String(status) : "other";
}
