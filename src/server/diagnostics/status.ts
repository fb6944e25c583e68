import type { Backplane } from "../../backplane/backplane.js";
import type { MemoryLedger } from "../../connection/memory/ledger.js";
import type { Counters } from "../../counters.js";
import type { Status } from "../../handler/application.js";
import type { Registry } from "../../room/registry.js";
import type { Acceptor } from "../acceptor.js";
import type { Shutdown } from "../end/shutdown.js";

/** The parts of an app that have a part of its status. */
export interface StatusSources {
  readonly registry: Registry;
  readonly backplane: Backplane;
  readonly acceptor: Acceptor;
  readonly counters: Counters;
  readonly ledger: MemoryLedger;
  readonly shutdown: Shutdown;
}

export function statusOf({ registry, backplane, acceptor, counters, ledger, shutdown }: StatusSources): Status {
  const { local, cluster } = registry.counts;
  const status = backplane.status();
  return {
    state: shutdown.state,
    ready: shutdown.isAccepting && status.backplane.state === "up",
    ...local,
    cluster,
    handshakes: acceptor.handshakes,
    totals: { ...counters.totals },
    flush: { ...counters.flush },
    memory: ledger.status,
    ...status,
  };
}
