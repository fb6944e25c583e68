import type { Duplex } from "node:stream";

/** Bytes of a client that are read only to be discarded. */
const discardedBytesMax = 1024 * 1024;

/**
 * Discards what a client sends after its end was decided: what was on its way, since closing a socket with unread bytes
 * resets it, and may discard the last answer; and no more, since to discard a flood takes a core.
 */
export function discardInput(socket: Duplex): void {
  let bytes = 0;
  socket.removeAllListeners("data");
  socket.on("data", (chunk: Uint8Array) => {
    bytes += chunk.length;
    if (bytes > discardedBytesMax) socket.pause();
  });
  socket.resume();
}
