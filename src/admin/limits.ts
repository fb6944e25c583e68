import { timerMsMax } from "../connection/clock.js";
import { describeValue, EnfiladeError } from "../errors.js";
import { checkNames } from "../wire/options.js";

/** The limits of the admin on one node: the option `limits` of `admin()`. */
export interface AdminLimits {
  /** Live connections of operators. Above: 503. Default: 20. */
  readonly operatorsMax: number;
  /** Taps of one live connection. Above: the error `too_many`. Default: 4. */
  readonly tapsPerOperatorMax: number;
  /**
   * Requests of one address per minute that `authorize` may refuse; an IPv6 address counts as its /64. Above: 429 with
   * `Retry-After`. Default: 10.
   */
  readonly refusalsPerMinuteMax: number;
  /** Addresses whose refusals are known. Above: those that were quiet for longest are forgotten. Default: 10,000. */
  readonly refusalAddressesMax: number;
  /** Bytes of the body of a call. Above: 413. Default: 64 KiB. */
  readonly bodyBytesMax: number;
  /** Entries of a page of a list. A call that asks for more gets this many. Default: 200. */
  readonly listEntriesMax: number;
  /** Closed connections and refused clients that are remembered. Above: the oldest are dropped. Default: 1,000. */
  readonly departuresMax: number;
  /** Errors that are remembered. Above: the oldest are dropped. Default: 200. */
  readonly errorsMax: number;
  /** Milliseconds for other nodes to answer. Above: the answer names them in `missing`. Default: 1,500. */
  readonly nodeAnswerMs: number;
}

export const defaultAdminLimits: AdminLimits = {
  operatorsMax: 20,
  tapsPerOperatorMax: 4,
  refusalsPerMinuteMax: 10,
  refusalAddressesMax: 10_000,
  bodyBytesMax: 64 * 1024,
  listEntriesMax: 200,
  departuresMax: 1_000,
  errorsMax: 200,
  nodeAnswerMs: 1_500,
};

/** @throws EnfiladeError `ERR_OPTION` when a limit is unknown, or has an invalid value. */
export function adminLimitsOf(given: Partial<AdminLimits> = {}): AdminLimits {
  checkNames("limits of admin()", given, Object.keys(defaultAdminLimits));
  const set = Object.entries(given).filter(([, value]) => value !== undefined);
  for (const [name, value] of set) {
    const max = name.endsWith("Ms") ? timerMsMax : Number.MAX_SAFE_INTEGER;
    if (Number.isSafeInteger(value) && value > 0 && value <= max) continue;
    const expected = `a whole number from 1 to ${max}`;
    throw new EnfiladeError(
      "ERR_OPTION",
      `the limit "${name}" of admin() takes ${expected}, got ${describeValue(value)}`,
    );
  }
  // The names and the values were checked above.
  return { ...defaultAdminLimits, ...(Object.fromEntries(set) as Partial<AdminLimits>) };
}
