import type { Delivery } from "../backplane/backplane.js";
import type { Connection } from "../connection/connection.js";
import type { Payload } from "../wire/payload.js";
import { controlFrame, messageFrame } from "../wire/v1.js";

/** One delivery as its members get it: as it is, or in a frame of `enfilade.v1`, made once for all who get the same. */
export class Envelope {
  readonly #delivery: Delivery;
  readonly #address: string | undefined;
  #atHome: Payload | undefined;
  #elsewhere: Payload | undefined;
  #counting: Payload | undefined;

  /** @param address The path of the room or tree that it was published to; `undefined` for any other audience. */
  constructor(delivery: Delivery, address: string | undefined) {
    this.#delivery = delivery;
    this.#address = address;
  }

  sendTo(member: Connection): void {
    const { payload, except, policy } = this.#delivery;
    const excepted = except.length > 0 && isExcepted(except, member);
    if (!member.enveloped || payload.kind === "frame") {
      if (!excepted) member.send(payload, policy);
    } else if (this.#address !== member.request.path) {
      if (!excepted) member.send(this.#forOthers, policy);
    } else if (!excepted) {
      member.send(this.#forHome, policy, this.#delivery.position);
    } else if (this.#offset !== undefined) {
      member.send(this.#forExcepted, undefined, this.#delivery.position);
    }
  }

  get #offset(): number | undefined {
    return this.#delivery.position?.offset;
  }

  get #forHome(): Payload {
    const offset = this.#offset;
    this.#atHome ??= messageFrame(this.#delivery.payload, offset === undefined ? {} : { offset });
    return this.#atHome;
  }

  get #forOthers(): Payload {
    const room = this.#address;
    this.#elsewhere ??= messageFrame(this.#delivery.payload, room === undefined ? {} : { room });
    return this.#elsewhere;
  }

  /** Offsets count for everyone, so who is excepted is told that there was one. */
  get #forExcepted(): Payload {
    this.#counting ??= controlFrame("message", { offset: this.#offset });
    return this.#counting;
  }
}

/** A client that resumes is the one that it was, on another connection. */
function isExcepted(except: readonly string[], { id, client }: Connection): boolean {
  return except.includes(id) || (client !== undefined && except.includes(clientKey(client)));
}

/** How a client is told from a connection in a list of who is excepted: ids of connections have no colon. */
export function clientKey(client: string): string {
  return `client:${client}`;
}
