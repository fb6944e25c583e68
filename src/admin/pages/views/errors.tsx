import type { ErrorReport, ErrorsPage } from "../../api.js";
import { visible } from "../parts/format.js";
import { List } from "../parts/list.js";
import { Page } from "../parts/page.js";
import type { Column } from "../parts/table.js";
import { ConnectionLink, None, RoomLink, Text, Time, UserLink } from "../parts/text.js";

/** The last errors of handlers. */
export function Errors() {
  return (
    <Page title="Errors">
      <List<ErrorsPage, ErrorReport>
        call="errors"
        caption="The last errors of handlers"
        noun="error"
        empty="No handler has thrown an error."
        rowsOf={({ errors }) => errors}
        keyOf={({ node, at }, index) => `${node} ${at} ${index}`}
        columns={() => columns}
      />
    </Page>
  );
}

const columns: readonly Column<ErrorReport>[] = [
  { header: "Time", cell: ({ at }) => <Time at={at} /> },
  { header: "Error", cell: (error) => <Stack error={error} /> },
  { header: "Route", cell: ({ route }) => (route === undefined ? <None /> : <Text value={route} />) },
  { header: "Path", cell: ({ path }) => (path === undefined ? <None /> : <RoomLink path={path} />) },
  { header: "User", cell: ({ user }) => <UserLink user={user} /> },
  {
    header: "Connection",
    cell: ({ node, connection }) =>
      connection === undefined ? <None /> : <ConnectionLink node={node} id={connection} />,
  },
  { header: "Node", cell: ({ node }) => <Text value={node} /> },
];

function Stack({ error: { message, stack } }: { readonly error: ErrorReport }) {
  return (
    <details>
      <summary>
        <Text value={message} />
      </summary>
      <pre>{visible(stack, true)}</pre>
    </details>
  );
}
