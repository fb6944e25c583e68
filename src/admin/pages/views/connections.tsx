import type { ConnectionSummary, ConnectionsPage } from "../../api.js";
import { useStore } from "../data/store.js";
import { Disconnect } from "../forms/disconnect.js";
import { Filters } from "../forms/filters.js";
import { visible } from "../parts/format.js";
import { List } from "../parts/list.js";
import { Page } from "../parts/page.js";
import type { Column } from "../parts/table.js";
import { ConnectionLink, None, RoomLink, Text, Time, UserLink } from "../parts/text.js";
import { place } from "../routes.js";

const fields = [
  ["search", "Search everything"],
  ["user", "User"],
  ["path", "Path"],
  ["address", "Address"],
  ["node", "Node"],
] as const;

/** The connections of all nodes. */
export function Connections() {
  const { search, user, path, address, node } = useStore(place).params;
  return (
    <Page title="Connections">
      <Filters label="Connections" fields={fields} />
      <List<ConnectionsPage, ConnectionSummary>
        call="connections"
        params={{ search, user, path, address, node }}
        caption="Connections"
        noun="connection"
        empty="No connection matches."
        rowsOf={({ connections }) => connections}
        keyOf={({ node, id }) => `${node} ${id}`}
        columns={columns}
      />
    </Page>
  );
}

function columns(reload: () => void): readonly Column<ConnectionSummary>[] {
  return [
    { header: "Connection", cell: (connection) => <ConnectionLink {...connection} /> },
    { header: "User", cell: ({ user }) => <UserLink user={user} /> },
    { header: "Path", cell: ({ path }) => <RoomLink path={path} /> },
    { header: "Address", cell: ({ address }) => <Text value={address} /> },
    { header: "Node", cell: ({ node }) => <Text value={node} /> },
    {
      header: "Since",
      cell: ({ openedAt }) => (openedAt === undefined ? <None>unknown</None> : <Time at={openedAt} />),
    },
    {
      header: "Action",
      cell: (connection) => (
        <Disconnect target={{ connection: nameOf(connection) }} name={titleOf(connection)} onDone={reload} />
      ),
    },
  ];
}

/** The name of a connection, without its other properties. */
export function nameOf({ node, id }: ConnectionSummary) {
  return { node, id };
}

export function titleOf({ id, user, path }: ConnectionSummary): string {
  return `${user === undefined ? "anonymous" : visible(user)} on ${visible(path)} (${visible(id)})`;
}
