import type { Clock } from "../../connection/clock.js";
import { TokenBuckets } from "../../connection/rate/tokenBuckets.js";
import type { ConnectionRequest } from "../../connection/request.js";
import { describeValue, EnfiladeError, HttpError, isInstance } from "../../errors.js";
import { networkOf } from "../../server/access/network.js";
import { originCheck } from "../../server/access/origin.js";
import type { CsrfHeader } from "../api.js";
import type { AdminConfig } from "../options.js";
import type { Signer } from "./signer.js";

const minuteMs = 60_000;
const operatorLengthMax = 200;
const csrfHeader: CsrfHeader = "x-enfilade-csrf";
const isSameHost = originCheck("same-host");

/** Decides who may use the admin. */
export class Guard {
  readonly #authorize: AdminConfig["authorize"];
  readonly #signer: Signer;
  /** Each refusal takes a token of the address. */
  readonly #refusals: TokenBuckets;

  constructor({ authorize, limits }: AdminConfig, signer: Signer, clock: Clock) {
    this.#authorize = authorize;
    this.#signer = signer;
    const { refusalsPerMinuteMax: max, refusalAddressesMax: keysMax } = limits;
    this.#refusals = new TokenBuckets({ max, periodMs: minuteMs, keysMax }, clock);
  }

  /**
   * The name of the operator, or the `Response` that `authorize` returned in place of one.
   *
   * @throws HttpError (as a rejection) 401 when `authorize` refuses, 429 after too many refusals.
   * @throws EnfiladeError (as a rejection) `ERR_USER` when its answer is no operator.
   */
  async operatorOf(request: ConnectionRequest): Promise<string | Response> {
    const network = networkOf(request.remoteAddress);
    const waitMs = this.#refusals.waitMsOf(network);
    if (waitMs > 0) {
      const headers = { "retry-after": String(Math.ceil(waitMs / 1_000)) };
      throw new HttpError(429, "Too many refused requests from this address", { headers });
    }
    try {
      return await this.#ask(request);
    } catch (error) {
      if (isInstance(error, HttpError) && (error.status === 401 || error.status === 403)) this.#refusals.take(network);
      throw error;
    }
  }

  /** The token that a page of this operator sends with each call that changes something. */
  csrfOf(operator: string): string {
    return this.#signer.sign("csrf", operator);
  }

  /**
   * Checks a call that changes something: it must come from a page of the same host that has the operator's token.
   *
   * @throws HttpError 403.
   */
  checkChange({ headers, host }: ConnectionRequest, operator: string): void {
    const { origin } = headers;
    if (origin === undefined || !isSameHost(origin, host)) {
      const came = `got ${describeValue(origin)} for the host ${describeValue(host)}`;
      const hint = "a proxy must forward Host, or be named by trustProxy";
      throw new HttpError(403, `This call needs the header Origin, with the host of the request; ${came}; ${hint}`);
    }
    if (this.#signer.isSigned("csrf", operator, headers[csrfHeader])) return;
    throw new HttpError(403, `This call needs the header ${csrfHeader}, with the value csrf of GET api/session`);
  }

  async #ask(request: ConnectionRequest): Promise<string | Response> {
    const answer: unknown = await this.#authorize(request);
    if (!answer) throw new HttpError(401);
    if (isInstance(answer, Response)) {
      if (answer.status !== 401 && answer.status !== 403) return answer;
      this.#refusals.take(networkOf(request.remoteAddress));
      return answer;
    }
    const name: unknown = typeof answer === "object" && "name" in answer ? answer.name : answer;
    if (typeof name === "string" && name !== "") return name.slice(0, operatorLengthMax);
    const expected = "authorize of admin() returns the operator, a name or { name }, or something falsy to refuse";
    throw new EnfiladeError("ERR_USER", `${expected}; it returned a value of type ${typeof answer} without a name`);
  }
}
