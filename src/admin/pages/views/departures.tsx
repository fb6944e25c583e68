import type { Departure, DeparturesPage } from "../../api.js";
import { List } from "../parts/list.js";
import { Page } from "../parts/page.js";
import type { Column } from "../parts/table.js";
import { None, RoomLink, Text, Time, UserLink } from "../parts/text.js";
import { explain } from "./departureCodes.js";

/** Why clients went, and why clients were refused. */
export function Departures() {
  return (
    <Page title="Departures">
      <List<DeparturesPage, Departure>
        call="departures"
        caption="Closed connections and refused clients"
        noun="entry"
        plural="entries"
        empty="No connection was closed, and no client was refused."
        rowsOf={({ departures }) => departures}
        keyOf={({ node, at }, index) => `${node} ${at} ${index}`}
        columns={() => columns}
      />
    </Page>
  );
}

const columns: readonly Column<Departure>[] = [
  { header: "Time", cell: ({ at }) => <Time at={at} /> },
  {
    header: "User",
    cell: ({ user, kind }) => (kind === "refusal" ? <None>not admitted</None> : <UserLink user={user} />),
  },
  { header: "Path", cell: ({ path, kind }) => (kind === "close" ? <RoomLink path={path} /> : <Text value={path} />) },
  { header: "Address", cell: ({ address }) => <Text value={address} /> },
  { header: "Node", cell: ({ node }) => <Text value={node} /> },
  { header: "Code", cell: ({ kind, code }) => (kind === "close" ? code : `HTTP ${code}`) },
  { header: "Ended by", cell: ({ side }) => sides[side] },
  { header: "Why", cell: (departure) => <Why departure={departure} /> },
];

const sides = { client: "the client", server: "the server", network: "the network" };

function Why({ departure }: { readonly departure: Departure }) {
  const { kind, reason } = departure;
  const explanation = explain(departure);
  if (reason === "") return <>{explanation}</>;
  // That of a refusal is a label of the metrics; that of a close is what the closing side said.
  const Reason = kind === "refusal" ? "code" : "q";
  return (
    <>
      {explanation}{" "}
      <Reason>
        <Text value={reason} />
      </Reason>
    </>
  );
}
