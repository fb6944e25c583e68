import type { ClaimedFrame } from "../backplane/claims.js";
import type { EngineClaim, EngineClaims } from "../cluster/claims/engineClaims.js";
import { numberOf } from "./answers.js";
import { claimScript, releaseScript, settleScript } from "./claimScripts.js";

export interface RedisClaimsDeps {
  readonly run: (script: string, keys: readonly string[], args: readonly string[]) => Promise<unknown>;
  /** The start of the keys of a name; all of them are in one slot of a cluster. */
  readonly keyOf: (name: string) => string;
}

export const claimScripts: readonly string[] = [claimScript, settleScript, releaseScript];

/** The claims of clients' frames in Redis. */
export class RedisClaims implements EngineClaims {
  readonly #deps: RedisClaimsDeps;

  constructor(deps: RedisClaimsDeps) {
    this.#deps = deps;
  }

  async claim(frame: ClaimedFrame, owner: string): Promise<EngineClaim> {
    const entry = String(await this.#deps.run(claimScript, this.#keys(frame), [frame.id, owner, ...windowArgs(frame)]));
    const content = entry.slice(1);
    if (entry.startsWith(">")) return { state: "claimed", owner: content };
    return { state: "answered", reply: content || undefined };
  }

  settle(frame: ClaimedFrame, owner: string, reply = ""): Promise<unknown> {
    const bytesMax = numberOf(frame.window.clientReceiptsBytesMax);
    const args = [frame.id, owner, ...windowArgs(frame), bytesMax, reply];
    return this.#deps.run(settleScript, this.#keys(frame), args);
  }

  release(frame: Pick<ClaimedFrame, "client" | "id">, owner: string): Promise<unknown> {
    return this.#deps.run(releaseScript, this.#keys(frame), [frame.id, owner]);
  }

  #keys({ client }: Pick<ClaimedFrame, "client">): string[] {
    const key = this.#deps.keyOf(`claims:${client}`);
    return [`${key}:entries`, `${key}:order`];
  }
}

function windowArgs({ window: { receiptsMax, receiptsMs } }: ClaimedFrame): string[] {
  return [numberOf(receiptsMax), numberOf(Math.ceil(receiptsMs))];
}
