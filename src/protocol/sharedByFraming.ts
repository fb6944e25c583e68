import type { Framing } from "../connection/transport.js";
import type { EventProtocol } from "../wire/events/protocol.js";

/** Makes one object for all clients with the same framing and event protocol, so that they share encoded bytes. */
export class SharedByFraming<T> {
  readonly #make: (framing: Framing, protocol: EventProtocol) => T;
  readonly #byFraming = new WeakMap<Framing, WeakMap<EventProtocol, T>>();

  constructor(make: (framing: Framing, protocol: EventProtocol) => T) {
    this.#make = make;
  }

  get(framing: Framing, protocol: EventProtocol): T {
    const byProtocol = this.#byFraming.get(framing) ?? new WeakMap<EventProtocol, T>();
    this.#byFraming.set(framing, byProtocol);
    const known = byProtocol.get(protocol);
    if (known !== undefined) return known;
    const made = this.#make(framing, protocol);
    byProtocol.set(protocol, made);
    return made;
  }
}
