import type { HistoryEntry, Member, MembersPage, RoomDetails, RoomPresence } from "../../api.js";
import { useStore } from "../data/store.js";
import { useGet } from "../data/useGet.js";
import { Disconnect, Evict } from "../forms/disconnect.js";
import { MessageForm } from "../forms/messageForm.js";
import { Content } from "../parts/content.js";
import { Facts } from "../parts/facts.js";
import { formatBytes, formatCount, formatNumber, visible } from "../parts/format.js";
import { List } from "../parts/list.js";
import { Failure } from "../parts/notices.js";
import { Page, Section } from "../parts/page.js";
import { type Column, Table } from "../parts/table.js";
import { ConnectionLink, None, Text, UserLink } from "../parts/text.js";
import { place } from "../routes.js";

/** One room: its members, its presence, its history, and a form that publishes to it. */
export function Room() {
  const { path = "" } = useStore(place).params;
  const { value: room, error, reload } = useGet<RoomDetails>("room", { path });
  return (
    <Page title={`Room ${visible(path)}`}>
      {error && <Failure error={error} retry={reload} />}
      {room === undefined && error === undefined && <p role="status">Loading…</p>}
      {room !== undefined && <RoomSections room={room} reload={reload} />}
    </Page>
  );
}

function RoomSections({ room, reload }: { readonly room: RoomDetails; reload(): void }) {
  const { path, route, memberCount, presence, history, hasHistory } = room;
  const name = `all connections in ${visible(path)}`;
  return (
    <>
      <div class="buttons">
        <button type="button" onClick={reload}>
          Refresh
        </button>
        <Disconnect target={{ room: path }} name={name} label="Disconnect all…" onDone={reload} />
      </div>
      <Section title="Room">
        <Facts
          facts={[
            ["Path", <Text key="path" value={path} />],
            ["Route", route === undefined ? <None key="route" /> : <Text key="route" value={route} />],
            ["Members", formatNumber(memberCount)],
            ["Presence", <PresenceFact key="presence" presence={presence} />],
          ]}
        />
      </Section>
      <Section title="Publish">
        <MessageForm target={() => ({ room: path })} describe={() => `the room ${path}`} asks={false} />
      </Section>
      <Section title="Members">
        <List<MembersPage, Member>
          call="members"
          params={{ path, limit: 50 }}
          caption={`Members of ${visible(path)}`}
          noun="member"
          empty="The room has no members."
          rowsOf={({ members }) => members}
          keyOf={({ node, id }) => `${node} ${id}`}
          columns={(refresh) => memberColumns(path, refresh)}
        />
      </Section>
      <Section title="History">
        <Table
          caption={`The last ${formatCount(history.length, "publication")}, the newest first`}
          columns={historyColumns}
          rows={[...history].reverse()}
          keyOf={({ position }, index) => `${position?.epoch} ${position?.offset ?? index}`}
          empty={hasHistory ? "Nothing was published." : "The room keeps no history."}
        />
      </Section>
    </>
  );
}

function PresenceFact({ presence: { mode, count, users } }: { readonly presence: RoomPresence }) {
  if (mode === "off") return <None>off</None>;
  return (
    <>
      {formatCount(count, "user")}
      {users.length > 0 && ": "}
      {users.map((user, index) => (
        <span key={user}>
          {index > 0 && ", "}
          <UserLink user={user} />
        </span>
      ))}
      {users.length > 0 && users.length < count && ", …"}
    </>
  );
}

function memberColumns(room: string, refresh: () => void): readonly Column<Member>[] {
  return [
    { header: "Connection", cell: (member) => <ConnectionLink {...member} /> },
    { header: "User", cell: ({ user }) => <UserLink user={user} /> },
    { header: "Address", cell: ({ address }) => <Text value={address} /> },
    { header: "Node", cell: ({ node }) => <Text value={node} /> },
    {
      header: "Action",
      cell: (member) => <Evict room={room} member={member} name={nameOf(member)} onDone={refresh} />,
    },
  ];
}

function nameOf({ id, user }: Member): string {
  return `${user === undefined ? "anonymous" : visible(user)} (${visible(id)})`;
}

const historyColumns: readonly Column<HistoryEntry>[] = [
  { header: "Offset", cell: ({ position }) => (position === undefined ? <None /> : formatNumber(position.offset)) },
  { header: "Kind", cell: ({ kind }) => kind },
  { header: "Size", isNumber: true, cell: ({ bytes }) => formatBytes(bytes) },
  { header: "Content", cell: ({ text, bytes }) => <Content text={text} bytes={bytes} /> },
];
