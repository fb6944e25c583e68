/**
 * Connects to a channel.
 *
 * @param {{ opened(): void; received(message: import("../messages.ts").FromServer): void; refused(): void;
 *   lost(reason: string): void }} listener `refused` is called when it never opened, `lost` when it was open.
 */
export function connect(channel, name, listener) {
  const url = new URL(`/chat/${encodeURIComponent(channel)}`, location.href);
  url.protocol = url.protocol.replace("http", "ws");
  url.searchParams.set("name", name);
  const socket = new WebSocket(url);
  const listening = new AbortController();
  const on = (event, listen) => socket.addEventListener(event, listen, { signal: listening.signal });
  let open = false;
  on("open", () => {
    open = true;
    listener.opened();
  });
  on("message", ({ data }) => listener.received(JSON.parse(data)));
  on("close", ({ reason }) => (open ? listener.lost(reason) : listener.refused()));
  return {
    /** Whether it could be sent. */
    send(message) {
      if (socket.readyState !== WebSocket.OPEN) return false;
      socket.send(JSON.stringify(message));
      return true;
    },
    /** Closes without telling the listener, who wanted it. */
    close() {
      listening.abort();
      socket.close();
    },
  };
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
