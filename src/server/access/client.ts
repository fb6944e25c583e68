import { Lifetime } from "../../connection/lifetime.js";
import type { GoneListener, Transport } from "../../connection/transport.js";

/** A client that asked to connect, until its transport has ended. */
export class Client extends Lifetime implements GoneListener {
  /** The address that its place is counted for; `undefined` if it was given none. */
  address: string | undefined;

  constructor(
    readonly transport: Transport,
    readonly onEnd: (client: Client) => void,
  ) {
    super();
  }

  onGone(): void {
    this.end();
    this.onEnd(this);
  }
}
