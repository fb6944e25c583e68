import { defaultPeerLimits, type PeerLimits } from "../connection/limits.js";
import { defaultMemberLimits, type MemberLimits } from "../room/limits.js";

/** Limits of one connection. The option `limits` of the app sets them; a scope and a route can override them. */
export interface ConnectionLimits extends PeerLimits, MemberLimits {
  /** Milliseconds for `authorize` and the `params` schema together. Above: 503. Default: 5,000. */
  readonly authorizeMs: number;
}

/** The defaults of {@link ConnectionLimits}. */
export const defaultConnectionLimits: ConnectionLimits = {
  ...defaultPeerLimits,
  ...defaultMemberLimits,
  authorizeMs: 5_000,
};
