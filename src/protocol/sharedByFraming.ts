import type { Framing } from "../connection/transport.js";
import type { EventProtocol } from "../wire/events/protocol.js";

/** One object for all clients of a framing and an event protocol: who shares it shares bytes. */
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
