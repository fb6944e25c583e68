/** `GET api/overview`, and the data of the live event `overview`. */
export interface Overview {
  readonly at: number;
  readonly nodes: readonly NodeOverview[];
  readonly missing: readonly string[];
}

export interface NodeOverview {
  readonly node: string;
  /** True for the node that answers. */
  readonly isThis: boolean;
  readonly ready: boolean;
  readonly backplane: { readonly engine: string; readonly state: string };
  readonly connections: number;
  readonly rooms: number;
  readonly users: number;
  readonly uptimeSeconds: number;
  /** How late the event loop was, as the 99th percentile of the last second or more. */
  readonly loopDelayMs: number;
  readonly memory: NodeMemory;
  readonly totals: NodeTotals;
  readonly rates: NodeRates;
}

export interface NodeMemory {
  /** What the process uses in all. */
  readonly residentBytes: number;
  readonly heapBytes: number;
  /** What the app holds for its clients. */
  readonly clientBytes: number;
}

/** Totals since the app was created. */
export interface NodeTotals {
  readonly opened: number;
  readonly closed: number;
  readonly refused: number;
  readonly received: number;
  readonly delivered: number;
  readonly dropped: number;
  /** Clients closed because they read too slowly. */
  readonly slow: number;
}

/** Over the last second. */
export interface NodeRates {
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}
