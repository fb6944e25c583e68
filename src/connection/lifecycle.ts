/** Where a connection is in its life: `draining` reads nothing new, `closing` sends nothing new, `closed` has no socket. */
export type ConnectionState = "open" | "draining" | "closing" | "closed";

/** What moves a connection on. */
export type ConnectionEvent =
  /** This side asks for an orderly end: what has come is still handled. */
  | "requestClose"
  /** This side closes: what was sent still goes out, what waits to be read is discarded. */
  | "close"
  /** The connection cannot go on: what waits to be sent is discarded, what has come is still read. */
  | "fail"
  /** The socket is gone. */
  | "gone";

/** What a move does, in this order. */
export type ConnectionEffect =
  | "stopHeartbeat"
  | "stopCloseTimer"
  | "startCloseTimer"
  | "dropOutbox"
  | "discardInbox"
  | "endInbox"
  | "finishOutbox"
  | "abortSignal"
  | "resolveEnded"
  | "startDetachTimer";

export interface Transition {
  readonly to: ConnectionState;
  readonly effects: readonly ConnectionEffect[];
}

const close: Transition = {
  to: "closing",
  effects: ["discardInbox", "startCloseTimer", "finishOutbox", "abortSignal"],
};
const fail: Transition = { to: "closing", effects: ["startCloseTimer", "dropOutbox", "endInbox", "abortSignal"] };
const gone: Transition = {
  to: "closed",
  effects: [
    "stopHeartbeat",
    "stopCloseTimer",
    "dropOutbox",
    "endInbox",
    "abortSignal",
    "resolveEnded",
    "startDetachTimer",
  ],
};

/** Every legal move; an event that is missing in a state changes nothing. */
const transitions: Readonly<Record<ConnectionState, Partial<Readonly<Record<ConnectionEvent, Transition>>>>> = {
  open: { requestClose: { to: "draining", effects: ["endInbox"] }, close, fail, gone },
  draining: { close, fail, gone },
  closing: { gone },
  closed: {},
};

/** The move that `event` makes in `state`; `undefined` when it changes nothing. */
export function transitionOf(state: ConnectionState, event: ConnectionEvent): Transition | undefined {
  return transitions[state][event];
}
