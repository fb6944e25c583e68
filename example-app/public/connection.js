import { connect } from "/enfilade/client/index.js";

/** Connects to a channel, and keeps to it over whatever happens to the connection. */
export function join(channel, name) {
  return connect(`/chat/${encodeURIComponent(channel)}?${new URLSearchParams({ name })}`);
}

/** Why the server lets nobody of this name into this channel; `undefined` when it would, or does not answer. */
export async function entryProblem(channel, name) {
  try {
    const response = await fetch(`/api/entry?${new URLSearchParams({ channel, name })}`);
    return response.status === 400 ? await response.json() : undefined;
  } catch {
    return undefined;
  }
}
