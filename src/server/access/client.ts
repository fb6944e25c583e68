import { Lifetime } from "../../connection/lifetime.js";
import type { GoneListener, Transport } from "../../connection/transport.js";

/** A client, from its request to connect until its transport has ended. */
export class Client extends Lifetime implements GoneListener {
  /** The network it is counted for in `Capacity`; `undefined` while it is not counted. */
  network: string | undefined;

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
