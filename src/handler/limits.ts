import { defaultPeerLimits, type PeerLimits } from "../connection/limits.js";
import { defaultMemberLimits, type MemberLimits } from "../room/limits.js";

/** Limits of one connection; the app sets them, a scope and a route may set their own. */
export interface ConnectionLimits extends PeerLimits, MemberLimits {
  /** Milliseconds for `authorize` and the checks of its parameters. Past it: 503. Default: 5,000. */
  readonly authorizeMs: number;
}

export const defaultConnectionLimits: ConnectionLimits = {
  ...defaultPeerLimits,
  ...defaultMemberLimits,
  authorizeMs: 5_000,
};
