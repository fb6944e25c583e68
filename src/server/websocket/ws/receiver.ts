/**
 * The state of ws's receiver that the transport needs. ws has no public names for it.
 *
 * If a version of ws has another state, the transport does without it; a test then fails.
 */
export interface Receiver {
  /** The error of a client that broke the protocol or a limit; of `stream.Writable`. */
  readonly errored: Error | null;
  /** While `false`, the next frame is reported in the next turn of the event loop, and nothing is read before. */
  _allowSynchronousEvents: boolean;
  /** The position in a frame; see below. */
  readonly _state: number;
  /** The opcode of the message whose fragments are received; 0 if there is none. */
  readonly _fragmented: number;
  /** The opcode of the current frame. */
  readonly _opcode: number;
  /** The bytes that were received but not parsed. */
  _bufferedBytes: number;
  _buffers: readonly Uint8Array[];
  /** The fragments of a message, and their bytes. */
  readonly _fragments: readonly Uint8Array[];
  readonly _messageLength: number;
}

/** Values of `_state`: before a frame, and a whole frame that is inflated or waits for its turn. */
const beforeFrame = 0;
const inflating = 5;
/** RFC 6455 5.5: the opcodes of control frames begin here. */
const firstControl = 8;

const numbers = ["_fragmented", "_opcode", "_bufferedBytes", "_messageLength"] as const;

/** The receiver of a socket of ws that was just opened; `undefined` if this version of ws has another one. */
export function receiverOf(socket: object): Receiver | undefined {
  // Every name is checked below.
  const { _receiver: receiver } = socket as { readonly _receiver?: Receiver };
  const isKnown =
    receiver?._allowSynchronousEvents === true &&
    receiver._state === beforeFrame &&
    numbers.every((name) => receiver[name] === 0) &&
    Array.isArray(receiver._buffers) &&
    Array.isArray(receiver._fragments);
  return isKnown ? receiver : undefined;
}

/** Discards what was received and not parsed. */
export function discardRest(receiver: Receiver): void {
  receiver._buffers = [];
  receiver._bufferedBytes = 0;
}

/** The memory of a buffer, in addition to its bytes. */
const bufferBytes = 200;

/** The memory of a message of which a part was received, and the rest is missing; `undefined` if there is none. */
export function unfinishedBytesOf(receiver: Receiver): number | undefined {
  if (!isMidMessage(receiver)) return undefined;
  const { _bufferedBytes, _buffers, _messageLength, _fragments } = receiver;
  return _bufferedBytes + _messageLength + bufferBytes * (_buffers.length + _fragments.length);
}

/** Whether a part of a message was received, and the rest is missing. */
function isMidMessage({ _state, _fragmented, _opcode, _bufferedBytes }: Receiver): boolean {
  if (_state === inflating) return false;
  if (_fragmented !== 0) return true;
  if (_state === beforeFrame) return _bufferedBytes > 0;
  return _opcode < firstControl && _state < inflating;
}
