import type { Counters } from "../counters.js";
import type { PeerObserver } from "../diagnostics.js";
import type { Message } from "../wire/message.js";
import type { Payload } from "../wire/payload.js";
import type { Clock } from "./clock.js";
import type { Codec } from "./codec.js";
import type { Lifetime } from "./lifetime.js";
import type { PeerLimits } from "./limits.js";
import type { MemoryLedger } from "./memory/ledger.js";
import type { Flusher } from "./outbox/flusher.js";
import type { ConnectionRequest } from "./request.js";
import type { Transport } from "./transport.js";
import type { Watches } from "./watch/watch.js";

/** The configuration of all connections of one route. `P` is the class of the connections. */
export interface PeerConfig<P> {
  readonly limits: PeerLimits;
  /** The attentive clock of the route. */
  readonly clock: Clock;
  readonly flusher: Flusher;
  readonly counters: Counters;
  readonly memory: MemoryLedger;
  readonly observer: PeerObserver<P, Message, Payload>;
  readonly watches: Watches;
}

/** What one connection is made of. */
export interface PeerDeps<C extends Codec> {
  readonly id: string;
  readonly request: ConnectionRequest;
  /** The user that `authorize` returned. */
  readonly user: unknown;
  readonly lifetime: Lifetime;
  readonly transport: Transport;
  readonly dialect: C;
}
