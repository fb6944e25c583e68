import type { UserSummary, UsersPage } from "../../api.js";
import { useStore } from "../data/store.js";
import { Disconnect } from "../forms/disconnect.js";
import { Filters } from "../forms/filters.js";
import { formatNumber, visible } from "../parts/format.js";
import { List } from "../parts/list.js";
import { Page } from "../parts/page.js";
import type { Column } from "../parts/table.js";
import { Text, UserLink } from "../parts/text.js";
import { place } from "../routes.js";

/** The users with a connection to any node. */
export function Users() {
  const { search } = useStore(place).params;
  return (
    <Page title="Users">
      <Filters label="Users" fields={[["search", "Search the ids of users"]]} />
      <List<UsersPage, UserSummary>
        call="users"
        params={{ search }}
        caption="Users"
        noun="user"
        empty="No user matches."
        rowsOf={({ users }) => users}
        keyOf={({ id }) => id}
        columns={columns}
      />
    </Page>
  );
}

function columns(reload: () => void): readonly Column<UserSummary>[] {
  return [
    { header: "User", cell: ({ id }) => <UserLink user={id} /> },
    { header: "Connections", isNumber: true, cell: ({ connections }) => formatNumber(connections) },
    { header: "Nodes", cell: ({ nodes }) => <Text value={nodes.join(", ")} /> },
    {
      header: "Action",
      cell: ({ id }) => (
        <Disconnect
          target={{ user: id }}
          name={`all connections of ${visible(id)}`}
          label="Disconnect everywhere…"
          onDone={reload}
        />
      ),
    },
  ];
}
