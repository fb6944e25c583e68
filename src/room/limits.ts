/** Limits of one connection that the rooms enforce. */
export interface MemberLimits {
  /** Rooms that one connection may be in at the same time. Above: `join` throws `ERR_JOINS_MAX`. Default: 128. */
  readonly joinsMax: number;
}

export const defaultMemberLimits: MemberLimits = {
  joinsMax: 128,
};

/** Limits for clients of `enfilade.v1` that resume after a reconnect. */
export interface RecoveryLimits {
  /** Missed publications that a client can recover. Above: the welcome has `recovered: false`. Default: 1,000. */
  readonly recoverMessagesMax: number;
}

export const defaultRecoveryLimits: RecoveryLimits = {
  recoverMessagesMax: 1_000,
};
