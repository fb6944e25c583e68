import type { ChannelSubscriptions } from "./channelSubscriptions.js";
import { carriesSignals, nodesChannel, roomOfPresence } from "./channels.js";
import type { ClusterClaims } from "./claims/clusterClaims.js";
import type { Engine } from "./engine.js";
import type { EngineState } from "./engineState.js";
import { decodeSignal, encodeSignal, type Fields } from "./nodeMessage.js";
import { heartbeatOf, type Nodes } from "./nodes.js";
import type { ClusterPresence } from "./presence/clusterPresence.js";
import type { PresenceMarks } from "./presence/presenceMarks.js";
import type { Probes } from "./probes.js";
import type { Witnesses } from "./rooms/witnesses.js";

export interface NodeSignalsDeps {
  /** The id of this node. */
  readonly id: string;
  readonly engine: Pick<Engine, "publish">;
  readonly engineState: EngineState;
  readonly subscriptions: Pick<ChannelSubscriptions, "whenSubscribed">;
}

/** The number of heartbeats in a row, when many rooms have changed. */
const heartbeatsMax = 20;

/** Sends the signals between nodes: heartbeats, leaves of nodes, and presence. */
export class NodeSignals {
  readonly #deps: NodeSignalsDeps;
  #isStopped = false;

  constructor(deps: NodeSignalsDeps) {
    this.#deps = deps;
  }

  /** From now on only the leave of this node is sent. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Resolves with true if the signal was sent. The next heartbeat corrects the loss of a signal. */
  async send(channel: string, kind: string, fields: object): Promise<boolean> {
    const { engine, engineState, subscriptions } = this.#deps;
    try {
      await subscriptions.whenSubscribed(channel);
      if (!engineState.isUp || (this.#isStopped && kind !== "leave")) return false;
      await engine.publish(channel, encodeSignal(kind, fields));
      return true;
    } catch {
      return false;
    }
  }

  sendHeartbeat(channel: string, counts: object, marks: PresenceMarks): Promise<boolean> {
    return this.send(channel, "heartbeat", { node: this.#deps.id, counts, ...marks });
  }

  /** Sends a heartbeat to all nodes, or several if one cannot list all changed rooms. */
  async sendHeartbeats(counts: () => object, presence: ClusterPresence): Promise<void> {
    for (let sent = 0; sent === 0 || (presence.hasMarks && sent < heartbeatsMax); sent += 1) {
      const marks = presence.takeMarks();
      if (await this.sendHeartbeat(nodesChannel, counts(), marks)) continue;
      presence.restoreMarks(marks);
      return;
    }
  }
}

/** The parts of a node that receive signals. */
export interface SignalParts {
  /** The id of this node. */
  readonly id: string;
  readonly nodes: Nodes;
  readonly presence: ClusterPresence;
  readonly witnesses: Witnesses;
  readonly claims: ClusterClaims | undefined;
  readonly probes: Probes;
}

/** Passes arriving signals to the parts of this node. */
export class SignalReceiver {
  readonly #parts: SignalParts;

  constructor(parts: SignalParts) {
    this.#parts = parts;
  }

  /** Returns true if the signal is valid, false if it is malformed, `undefined` if the channel carries no signals. */
  receive(channel: string, bytes: Uint8Array): boolean | undefined {
    if (!carriesSignals(channel)) return undefined;
    const fields = decodeSignal(bytes);
    return fields !== undefined && this.#receive(channel, fields);
  }

  #receive(channel: string, fields: Fields): boolean {
    const { nodes, presence, witnesses, claims, probes } = this.#parts;
    const { t: kind, node, path } = fields;
    if (typeof node !== "string") return false;
    if (kind === "heartbeat") return this.#receiveHeartbeat(fields);
    if (kind === "probe") return probes.receive(fields.number);
    if (kind === "leave") nodes.onLeave(node);
    else {
      nodes.onSignal(node);
      return (
        witnesses.receive(kind, fields) ??
        claims?.receive(kind, fields) ??
        presence.receive(roomOfPresence(channel) ?? path, kind, fields)
      );
    }
    return true;
  }

  #receiveHeartbeat(fields: Fields): boolean {
    const heartbeat = heartbeatOf(fields);
    if (heartbeat === undefined) return false;
    const { id, nodes, presence, witnesses } = this.#parts;
    const { node, presence: marks, renew } = heartbeat;
    presence.compare(node, marks);
    nodes.receive(heartbeat);
    if (node !== id) witnesses.onHeartbeat(node);
    if (renew && node !== id) presence.askAll(node);
    return true;
  }
}
