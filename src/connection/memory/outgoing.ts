/** Messages to one client that wait until it reads. */
export interface LaggingClient {
  /** The bytes that would be freed without this client: shared bytes count in equal parts for all that share them. */
  heldShare(): number;
  /** The bytes that are in its socket already. They are freed a moment after its end. */
  readonly socketBytes: number;
  /** Discards what waits, and ends the connection. */
  onCrowdedOut(): void;
  /** Calls `callback` when the bytes in the socket are freed. */
  whenWritten(callback: () => void): void;
}

export interface OutgoingMemoryDeps {
  /** Bytes that are always below `bytesMax()`, which is not computed until then. */
  readonly sureBytes: number;
  /** The bytes that waiting messages may take. */
  readonly bytesMax: () => number;
  /** Called when a client is closed for lack of memory. */
  readonly onClosed: () => void;
}

/** The memory of a buffer, in addition to its bytes. */
const bufferBytes = 200;
/** The memory of an entry that refers to a buffer. */
const entryBytes = 120;

/** The bytes of all messages that wait until their clients read. Bytes that clients share are counted once. */
export class OutgoingMemory {
  readonly #deps: OutgoingMemoryDeps;
  /** How many entries refer to each buffer. */
  readonly #holders = new Map<Uint8Array, number>();
  readonly #lagging = new Set<LaggingClient>();
  #bytes = 0;
  /** Those in the sockets of clients that were closed here. They are about to be freed. */
  #closingBytes = 0;
  #isClosing = false;

  constructor(deps: OutgoingMemoryDeps) {
    this.#deps = deps;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** From now on, `client` lags. */
  enter(client: LaggingClient): void {
    this.#lagging.add(client);
  }

  /** The client has caught up, or has ended. */
  leave(client: LaggingClient): void {
    this.#lagging.delete(client);
  }

  /** An entry refers to `bytes`. Closes the clients that hold most, if that is too much. */
  hold(bytes: Uint8Array): void {
    const holders = this.#holders.get(bytes) ?? 0;
    this.#holders.set(bytes, holders + 1);
    this.#bytes += entryBytes + (holders === 0 ? bufferBytes + bytes.length : 0);
    if (this.#bytes > this.#deps.sureBytes) this.#makeSpace();
  }

  /** The entry no longer refers to `bytes`. */
  release(bytes: Uint8Array): void {
    const holders = this.#holders.get(bytes) ?? 0;
    if (holders === 0) return;
    if (holders > 1) this.#holders.set(bytes, holders - 1);
    else this.#holders.delete(bytes);
    this.#bytes -= entryBytes + (holders === 1 ? bufferBytes + bytes.length : 0);
  }

  /** The part of `bytes` that counts for one of its holders. */
  shareOf(bytes: Uint8Array): number {
    return entryBytes + (bufferBytes + bytes.length) / (this.#holders.get(bytes) ?? 1);
  }

  #makeSpace(): void {
    // The end of a client may cause messages to others.
    if (this.#isClosing) return;
    this.#isClosing = true;
    while (this.#bytes - this.#closingBytes > this.#deps.bytesMax() && this.#lagging.size > 0) this.#closeFullest();
    this.#isClosing = false;
  }

  #closeFullest(): void {
    let fullest: LaggingClient | undefined;
    let most = -1;
    for (const client of this.#lagging) {
      const share = client.heldShare();
      if (share > most) [fullest, most] = [client, share];
    }
    if (fullest === undefined) return;
    this.#lagging.delete(fullest);
    const { socketBytes } = fullest;
    this.#closingBytes += socketBytes;
    this.#deps.onClosed();
    fullest.onCrowdedOut();
    fullest.whenWritten(() => {
      this.#closingBytes -= socketBytes;
    });
  }
}
