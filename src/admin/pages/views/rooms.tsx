import type { RoomSummary, RoomsPage } from "../../api.js";
import { useStore } from "../data/store.js";
import { Filters } from "../forms/filters.js";
import { formatCount, formatNumber, visible } from "../parts/format.js";
import { List } from "../parts/list.js";
import { Page } from "../parts/page.js";
import type { Column } from "../parts/table.js";
import { None, RoomLink, Text, ViewLink } from "../parts/text.js";
import { hrefOf, place } from "../routes.js";

/** One level of the tree of rooms, or the rooms that a search finds. */
export function Rooms() {
  const { under = "", search = "" } = useStore(place).params;
  return (
    <Page title="Rooms">
      <Filters label="Rooms" fields={[["search", "Search the paths of all rooms"]]} />
      <Levels under={search === "" ? under : ""} />
      <List<RoomsPage, RoomSummary>
        call="rooms"
        params={search === "" ? { under } : { search }}
        caption="Rooms"
        noun={search === "" ? "path" : "room"}
        empty="There are no rooms here."
        rowsOf={({ rooms }) => rooms}
        keyOf={({ path }) => path}
        columns={() => columns}
      />
    </Page>
  );
}

const columns: readonly Column<RoomSummary>[] = [
  { header: "Room", cell: ({ path, isOpen }) => (isOpen ? <RoomLink path={path} /> : <Text value={path} />) },
  { header: "Members", isNumber: true, cell: ({ members }) => formatNumber(members) },
  { header: "Below", cell: (room) => <Below room={room} /> },
  { header: "History", cell: ({ history }) => (history ? "kept" : <None />) },
];

function Below({ room: { path, hasChildren, roomsBelow, membersBelow } }: { readonly room: RoomSummary }) {
  if (!hasChildren) return <None />;
  const counts = `${formatCount(roomsBelow, "room")}, ${formatCount(membersBelow, "member")}`;
  return (
    <a href={hrefOf("rooms", { under: path })} aria-label={`${counts} below ${visible(path)}`}>
      {counts}
    </a>
  );
}

/** Links to the levels above. */
function Levels({ under }: { readonly under: string }) {
  const names = under.split("/").filter((name) => name !== "");
  return (
    <nav class="levels" aria-label="Levels">
      <ol>
        <li>
          <ViewLink view="rooms">All rooms</ViewLink>
        </li>
        {names.map((name, index) => {
          const path = `/${names.slice(0, index + 1).join("/")}`;
          return (
            <li key={path}>
              <ViewLink view="rooms" params={{ under: path }}>
                <Text value={name} />
              </ViewLink>
            </li>
          );
        })}
      </ol>
    </nav>
  );
}
