import type { ClaimedFrame } from "../../backplane/claims.js";

/**
 * What the engine has stored for a frame: the owner of its claim, or its reply. `unsupported`: this server cannot store
 * claims.
 */
export type EngineClaim =
  | { readonly state: "claimed"; readonly owner: string }
  | { readonly state: "answered"; readonly reply: string | undefined }
  | { readonly state: "unsupported" };

/**
 * Stores one entry for each frame that a node claims. Each method has no effect after the first if it is called twice,
 * and applies in one step: of two nodes that claim a frame at the same time, one gets the claim.
 */
export interface EngineClaims {
  /** Stores `owner` if the frame has no entry. Resolves with the entry that it has then. */
  claim(frame: ClaimedFrame, owner: string): Promise<EngineClaim>;
  /**
   * Replaces the entry of `owner` by the reply. Adds it if the frame has no entry, such as after a loss of data.
   * Changes nothing if the frame has another entry.
   */
  settle(frame: ClaimedFrame, owner: string, reply: string | undefined): Promise<unknown>;
  /** Removes the entry of `owner`; changes nothing if the frame has another one. */
  release(frame: Pick<ClaimedFrame, "client" | "id">, owner: string): Promise<unknown>;
}
