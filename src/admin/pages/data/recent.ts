import type { Overview } from "../../api.js";

/** Five minutes, with a point for each second. */
const pointsMax = 300;

/** The figures of the last minutes, summed over all nodes, as the columns of a chart. */
export class Recent {
  /** Seconds since 1970. */
  readonly times: number[] = [];
  readonly connections: number[] = [];
  readonly rooms: number[] = [];
  readonly messagesIn: number[] = [];
  readonly messagesOut: number[] = [];
  readonly bytesIn: number[] = [];
  readonly bytesOut: number[] = [];

  /** Adds a point, unless it is older than the last one. */
  add({ at, nodes }: Overview): void {
    const time = at / 1000;
    if (time <= (this.times.at(-1) ?? 0)) return;
    const sum = (read: (node: Overview["nodes"][number]) => number) =>
      nodes.reduce((total, node) => total + read(node), 0);
    this.times.push(time);
    this.connections.push(sum((node) => node.connections));
    this.rooms.push(sum((node) => node.rooms));
    this.messagesIn.push(sum((node) => node.rates.messagesIn));
    this.messagesOut.push(sum((node) => node.rates.messagesOut));
    this.bytesIn.push(sum((node) => node.rates.bytesIn));
    this.bytesOut.push(sum((node) => node.rates.bytesOut));
    if (this.times.length > pointsMax) for (const column of this.#columns) column.shift();
  }

  get #columns(): number[][] {
    const { times, connections, rooms, messagesIn, messagesOut, bytesIn, bytesOut } = this;
    return [times, connections, rooms, messagesIn, messagesOut, bytesIn, bytesOut];
  }
}
