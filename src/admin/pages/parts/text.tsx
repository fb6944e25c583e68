import type { ComponentChildren } from "preact";
import type { Params } from "../data/calls.js";
import { hrefOf } from "../routes.js";
import { formatDate, visible } from "./format.js";

/** Text of a client: never markup, and its direction does not affect what is around it. */
export function Text({ value }: { readonly value: string }) {
  return <bdi class="text">{visible(value)}</bdi>;
}

export function None({ children = "none" }: { readonly children?: ComponentChildren }) {
  return <span class="soft">{children}</span>;
}

export function Time({ at }: { readonly at: number }) {
  return <time dateTime={new Date(at).toISOString()}>{formatDate(at)}</time>;
}

interface ViewLinkProps {
  readonly view: string;
  readonly params?: Params;
  readonly children: ComponentChildren;
}

/** A link to another page of the admin. */
export function ViewLink({ view, params = {}, children }: ViewLinkProps) {
  return <a href={hrefOf(view, params)}>{children}</a>;
}

/** A connection by the start of its id. */
export function ConnectionLink({ node, id }: { readonly node: string; readonly id: string }) {
  return (
    <a href={hrefOf("connection", { node, id })} title={visible(id)} class="id">
      {visible(id).slice(0, 8)}
    </a>
  );
}

export function RoomLink({ path }: { readonly path: string }) {
  return (
    <ViewLink view="room" params={{ path }}>
      <Text value={path} />
    </ViewLink>
  );
}

/** A link to the connections of a user. */
export function UserLink({ user }: { readonly user: string | undefined }) {
  if (user === undefined) return <None>anonymous</None>;
  return (
    <ViewLink view="connections" params={{ user }}>
      <Text value={user} />
    </ViewLink>
  );
}
