import { connect } from "/enfilade/client/index.js";

/** Connects to a channel, and keeps to it over whatever happens to the connection. */
export function join(channel, name) {
  return connect(`/chat/${encodeURIComponent(channel)}?${new URLSearchParams({ name })}`);
}

/**
 * Why the server would refuse a user of this name in this channel, the channel first; `undefined` if it would not,
 * and if it does not answer.
 */
export async function entryProblem(channel, name) {
  try {
    const response = await fetch(`/api/entry?${new URLSearchParams({ channel, name })}`);
    return response.status === 200 ? await response.json() : undefined;
  } catch {
    return undefined;
  }
}
