/** The state of a connection: `draining` receives no new messages, `closing` sends none, `closed` has no socket. */
export type ConnectionState = "open" | "draining" | "closing" | "closed";

/** An event that changes the state of a connection. */
export type ConnectionEvent =
  /** The server requests an orderly end: received messages are still handled. */
  | "requestClose"
  /** The server closes: sent messages still go out, received messages that were not read are discarded. */
  | "close"
  /** The connection has failed: messages that wait to be sent are discarded, received messages are still handled. */
  | "fail"
  /** The transport has ended. */
  | "gone";

/** An effect of a transition. */
export type ConnectionEffect =
  | "stopWatch"
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
  /** Applied in this order. */
  readonly effects: readonly ConnectionEffect[];
}

const close: Transition = {
  to: "closing",
  effects: ["discardInbox", "startCloseTimer", "finishOutbox", "abortSignal"],
};
const fail: Transition = { to: "closing", effects: ["startCloseTimer", "dropOutbox", "endInbox", "abortSignal"] };
const gone: Transition = {
  to: "closed",
  effects: ["stopWatch", "stopCloseTimer", "dropOutbox", "endInbox", "abortSignal", "resolveEnded", "startDetachTimer"],
};

/** All legal transitions. An event without an entry changes nothing. */
const transitions: Readonly<Record<ConnectionState, Partial<Readonly<Record<ConnectionEvent, Transition>>>>> = {
  open: { requestClose: { to: "draining", effects: ["endInbox"] }, close, fail, gone },
  draining: { close, fail, gone },
  closing: { gone },
  closed: {},
};

/** The transition for `event` in `state`; `undefined` if the event changes nothing. */
export function transitionOf(state: ConnectionState, event: ConnectionEvent): Transition | undefined {
  return transitions[state][event];
}
