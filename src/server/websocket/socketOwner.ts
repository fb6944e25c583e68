import type { Duplex } from "node:stream";

/** Receives the events of a socket. */
export interface SocketOwner {
  onChunk(chunk: Buffer): void;
  /** The other side has closed its half. */
  onEnd(): void;
  onSocketClose(): void;
}

const owner = Symbol("enfilade.owner");

interface OwnedSocket extends Duplex {
  [owner]?: SocketOwner | undefined;
}

/**
 * From now on, `next` receives the events of the socket, in place of its owner before.
 *
 * All sockets share three listeners, and a change of the owner changes none of them: closures would take more memory,
 * and a socket from which a listener was removed keeps its listeners in a larger table.
 */
export function own(socket: Duplex, next: SocketOwner): void {
  const owned: OwnedSocket = socket;
  if (owned[owner] === undefined) owned.on("data", onData).on("end", onEnd).on("close", onClose);
  owned[owner] = next;
}

/** Removes the owner and the listeners. Returns the owner. */
export function disown(socket: Duplex): SocketOwner | undefined {
  const owned: OwnedSocket = socket;
  const last = owned[owner];
  if (last === undefined) return undefined;
  owned[owner] = undefined;
  owned.off("data", onData).off("end", onEnd).off("close", onClose);
  return last;
}

function onData(this: OwnedSocket, chunk: Buffer): void {
  this[owner]?.onChunk(chunk);
}

function onEnd(this: OwnedSocket): void {
  this[owner]?.onEnd();
}

function onClose(this: OwnedSocket): void {
  this[owner]?.onSocketClose();
}
