import type { ConnectionDetails } from "../../api.js";
import { useStore } from "../data/store.js";
import { useGet } from "../data/useGet.js";
import { Disconnect } from "../forms/disconnect.js";
import { MessageForm } from "../forms/messageForm.js";
import { Facts } from "../parts/facts.js";
import { formatBytes, formatNumber, visible } from "../parts/format.js";
import { Failure } from "../parts/notices.js";
import { Page, Section } from "../parts/page.js";
import { None, RoomLink, Text, Time, UserLink, ViewLink } from "../parts/text.js";
import { hrefOf, place } from "../routes.js";
import { nameOf, titleOf } from "./connections.js";

/** The pause between two looks at the figures. */
const everyMs = 2000;

/** One connection: its figures, a form that sends to it, and its end. */
export function Connection() {
  const { node = "", id = "" } = useStore(place).params;
  const { value, error, reload } = useGet<ConnectionDetails>("connection", { node, id }, everyMs);
  return (
    <Page title={`Connection ${visible(id).slice(0, 8)}`}>
      {error && <Failure error={error} retry={reload} />}
      {value === undefined && error === undefined && <p role="status">Loading…</p>}
      {value !== undefined && <Details connection={value} />}
    </Page>
  );
}

function Details({ connection }: { readonly connection: ConnectionDetails }) {
  const name = nameOf(connection);
  const leave = () => {
    location.hash = hrefOf("connections");
  };
  return (
    <>
      <div class="buttons">
        <Disconnect target={{ connection: name }} name={titleOf(connection)} onDone={leave} />
        <ViewLink view="tap" params={{ connection: connection.id }}>
          Tap its messages
        </ViewLink>
      </div>
      <Section title="Client">
        <Facts facts={clientFacts(connection)} />
      </Section>
      <Section title="Traffic">
        <Facts facts={trafficFacts(connection)} />
      </Section>
      <Section title="Rooms">
        <ul class="paths">
          {connection.rooms.map((path) => (
            <li key={path}>
              <RoomLink path={path} />
            </li>
          ))}
        </ul>
        {connection.hasMoreRooms && <p class="soft">These are the first {connection.rooms.length}.</p>}
      </Section>
      <Section title="Send">
        <MessageForm target={() => ({ connection: name })} describe={() => titleOf(connection)} asks={false} />
      </Section>
    </>
  );
}

function clientFacts({ id, user, path, route, address, node, protocol, openedAt }: ConnectionDetails) {
  return [
    ["Id", <Text key="id" value={id} />],
    ["User", <UserLink key="user" user={user} />],
    ["Path", <RoomLink key="path" path={path} />],
    ["Route", route === undefined ? <None key="route" /> : <Text key="route" value={route} />],
    ["Address", <Text key="address" value={address} />],
    ["Node", <Text key="node" value={node} />],
    ["Protocol", protocol],
    ["Since", openedAt === undefined ? <None key="since">unknown</None> : <Time key="since" at={openedAt} />],
  ] as const;
}

function trafficFacts(connection: ConnectionDetails) {
  const { messagesIn, messagesOut, bytesIn, bytesOut, bufferedBytes, isLagging } = connection;
  return [
    ["Messages from the client", formatNumber(messagesIn)],
    ["Messages to the client", formatNumber(messagesOut)],
    ["Bytes from the client", formatBytes(bytesIn)],
    ["Bytes to the client", formatBytes(bytesOut)],
    ["Waiting for the client", formatBytes(bufferedBytes)],
    ["Reads", isLagging ? "too slowly" : "fast enough"],
  ] as const;
}
