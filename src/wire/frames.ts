/** The subprotocol that PROTOCOL.md is about. */
export const v1 = "enfilade.v1";
/** Stands before a token among the subprotocols that a client offers. */
export const tokenPrefix = "enfilade.token.";

/** What a frame may be answered under. */
export type FrameId = string | number;
