import type { Overview as Figures, NodeOverview } from "../../api.js";
import { live } from "../data/live.js";
import { useStore } from "../data/store.js";
import { Chart } from "../parts/chart.js";
import { formatBytes, formatNumber, formatSeconds } from "../parts/format.js";
import { Missing } from "../parts/notices.js";
import { Page, Section } from "../parts/page.js";
import { type Column, Table } from "../parts/table.js";
import { Text } from "../parts/text.js";

/** The figures of all nodes, as they change. */
export function Overview() {
  const figures = useStore(live.overview);
  return (
    <Page title="Overview">
      <Sums figures={figures} />
      <Charts />
      <Section title="Nodes">
        <div class="nodes">
          <Table
            caption="Nodes"
            columns={columns}
            rows={figures?.nodes ?? []}
            keyOf={({ node }) => node}
            empty="No node has answered."
            isBusy={figures === undefined}
          />
        </div>
        {figures !== undefined && <Missing nodes={figures.missing} />}
      </Section>
    </Page>
  );
}

const columns: readonly Column<NodeOverview>[] = [
  { header: "Node", cell: ({ node, isThis }) => <NodeName node={node} isThis={isThis} /> },
  { header: "State", cell: (node) => <NodeState node={node} /> },
  { header: "Connections", isNumber: true, cell: (node) => formatNumber(node.connections) },
  { header: "Rooms", isNumber: true, cell: (node) => formatNumber(node.rooms) },
  { header: "Messages in/s", isNumber: true, cell: ({ rates }) => formatNumber(rates.messagesIn) },
  { header: "Messages out/s", isNumber: true, cell: ({ rates }) => formatNumber(rates.messagesOut) },
  { header: "Loop delay", isNumber: true, cell: (node) => `${formatNumber(node.loopDelayMs)} ms` },
  { header: "Memory", isNumber: true, cell: ({ memory }) => formatBytes(memory.residentBytes) },
  { header: "Uptime", isNumber: true, cell: (node) => formatSeconds(node.uptimeSeconds) },
];

function NodeName({ node, isThis }: { readonly node: string; readonly isThis: boolean }) {
  return (
    <>
      <Text value={node} />
      {isThis && <span class="soft"> (this one)</span>}
    </>
  );
}

function NodeState({ node: { ready, backplane } }: { readonly node: NodeOverview }) {
  return (
    <span class={`state ${ready ? "good" : "bad"}`}>
      {ready ? "ready" : "not ready"}, {backplane.engine} {backplane.state}
    </span>
  );
}

function Sums({ figures }: { readonly figures: Figures | undefined }) {
  const sum = (read: (node: NodeOverview) => number) =>
    figures === undefined ? "–" : formatNumber(figures.nodes.reduce((total, node) => total + read(node), 0));
  const tiles = [
    ["Nodes", sum(() => 1)],
    ["Connections", sum((node) => node.connections)],
    ["Rooms", sum((node) => node.rooms)],
    ["Users", sum((node) => node.users)],
    ["Refused since the start", sum(({ totals }) => totals.refused)],
    ["Messages dropped", sum(({ totals }) => totals.dropped)],
    ["Closed as too slow", sum(({ totals }) => totals.slow)],
  ];
  return (
    <dl class="tiles">
      {tiles.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Charts() {
  const { times, connections, rooms, messagesIn, messagesOut, bytesIn, bytesOut } = live.recent;
  const counts = { times, format: formatNumber };
  return (
    <div class="charts">
      <Chart {...counts} title="Connections" lines={[{ label: "all nodes", color: "first", values: connections }]} />
      <Chart {...counts} title="Rooms" lines={[{ label: "all nodes", color: "first", values: rooms }]} />
      <Chart {...counts} title="Messages per second" lines={inAndOut(messagesIn, messagesOut)} />
      <Chart times={times} format={formatBytes} isBytes title="Bytes per second" lines={inAndOut(bytesIn, bytesOut)} />
    </div>
  );
}

function inAndOut(incoming: readonly number[], outgoing: readonly number[]) {
  return [
    { label: "in", color: "first", values: incoming },
    { label: "out", color: "second", values: outgoing },
  ];
}
