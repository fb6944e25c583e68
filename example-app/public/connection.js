import { connect } from "/enfilade/client/index.js";

/** Joins a channel. The client reconnects by itself when the connection breaks. */
export function join(channel, name) {
  return connect(`/chat/${encodeURIComponent(channel)}?${new URLSearchParams({ name })}`);
}

/**
 * Asks the server whether it would accept this channel and this name. Resolves with the first problem, the channel's
 * before the name's, or with `undefined` if there is none or the server cannot be reached.
 */
export async function findEntryProblem(channel, name) {
  try {
    const response = await fetch(`/api/entry?${new URLSearchParams({ channel, name })}`);
    return response.status === 200 ? await response.json() : undefined;
  } catch {
    return undefined;
  }
}
