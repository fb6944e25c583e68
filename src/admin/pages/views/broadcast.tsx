import { useState } from "preact/hooks";
import type { ChannelsInfo, SendTarget } from "../../api.js";
import { useGet } from "../data/useGet.js";
import { Choice, Field, textOf } from "../forms/field.js";
import { MessageForm } from "../forms/messageForm.js";
import { visible } from "../parts/format.js";
import { Failure } from "../parts/notices.js";
import { Page, Section } from "../parts/page.js";

const kinds = [
  ["room", "A room"],
  ["tree", "A room and all rooms below it"],
  ["channel", "A channel: all rooms of a route"],
  ["user", "A user"],
  ["connection", "A connection"],
  ["all", "All connections"],
] as const;

/** Sends a message to many clients, after a question that says how many. */
export function Broadcast() {
  return (
    <Page title="Broadcast">
      <Section title="Message to clients">
        <MessageForm target={targetOf} describe={describe} asks={true}>
          <Target />
        </MessageForm>
      </Section>
    </Page>
  );
}

function Target() {
  const [kind, setKind] = useState<string>("room");
  return (
    <div class="row">
      <Choice label="To" name="to" value={kind} options={kinds} onChoose={setKind} />
      {kind === "channel" && <Channels />}
      {(kind === "room" || kind === "tree") && (
        <Field key="path" label="Path" name="path" hint="Such as /chat" isRequired />
      )}
      {kind === "user" && <Field key="user" label="Id of the user" name="user" isRequired />}
      {kind === "connection" && <Field key="node" label="Node" name="node" isRequired />}
      {kind === "connection" && <Field key="id" label="Id of the connection" name="id" isRequired />}
    </div>
  );
}

function Channels() {
  const { value, error, reload } = useGet<ChannelsInfo>("channels");
  const [chosen, setChosen] = useState<string>();
  const channels = value?.channels ?? [];
  const options = channels.map(({ name, pattern }) => [name, `${visible(name)} (${visible(pattern)})`] as const);
  if (error !== undefined) return <Failure error={error} retry={reload} />;
  return (
    <Choice
      {...{ label: "Channel", name: "channel", value: chosen ?? channels[0]?.name ?? "", options, onChoose: setChosen }}
    />
  );
}

function targetOf(form: FormData): SendTarget {
  const read = (name: string) => textOf(form, name).trim();
  const kind = read("to");
  if (kind === "room") return { room: read("path") };
  if (kind === "tree") return { tree: read("path") };
  if (kind === "channel") return { channel: read("channel") };
  if (kind === "user") return { user: read("user") };
  if (kind === "connection") return { connection: { node: read("node"), id: read("id") } };
  return "all";
}

function describe(to: SendTarget): string {
  if (to === "all") return "all connections";
  if ("room" in to) return `the room ${to.room}`;
  if ("tree" in to) return `the room ${to.tree} and all rooms below it`;
  if ("channel" in to) return `the channel ${to.channel}`;
  if ("user" in to) return `the user ${to.user}`;
  return `the connection ${to.connection.id}`;
}
