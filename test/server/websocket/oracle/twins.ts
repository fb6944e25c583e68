import { expect } from "vitest";
import type { AppOptions } from "../../../../src/index.js";
import { type Sight, Twin, type TwinClient } from "./twin.js";

/** What a client does. */
export type Script = (client: TwinClient) => Promise<unknown>;

/** The same app with each of the two receivers. */
export class Twins {
  readonly #direct: Twin;
  readonly #ws: Twin;

  private constructor(direct: Twin, ws: Twin) {
    this.#direct = direct;
    this.#ws = ws;
  }

  static async start(limits: AppOptions["limits"] = {}): Promise<Twins> {
    return new Twins(await Twin.start("direct", limits), await Twin.start("ws", limits));
  }

  /** Plays the script with both. They have to agree. */
  async play(script: Script, head?: Buffer): Promise<Sight> {
    const [ours, theirs] = await this.#playBoth(script, head);
    expect(ours).toEqual(theirs);
    return theirs;
  }

  /**
   * As {@link play}, but one client may get more answers before the close: past `turnMessagesMax`, ws reads a close or
   * a fault one turn early.
   */
  async playTurns(script: Script): Promise<Sight> {
    const [ours, theirs] = await this.#playBoth(script);
    const answers = ({ client }: Sight) => client.filter((one) => !/^(close:|end$|reset$)/.test(one));
    const ends = ({ client }: Sight) => client.slice(answers({ client, handler: [] }).length);
    expect(ours.handler).toEqual(theirs.handler);
    expect(ends(ours)).toEqual(ends(theirs));
    const common = Math.min(answers(ours).length, answers(theirs).length);
    expect(answers(ours).slice(0, common)).toEqual(answers(theirs).slice(0, common));
    return ours;
  }

  #playBoth(script: Script, head?: Buffer): Promise<[Sight, Sight]> {
    return Promise.all([this.#direct.play(script, head), this.#ws.play(script, head)]);
  }
}
