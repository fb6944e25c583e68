/** Limits of one connection that the rooms enforce. */
export interface MemberLimits {
  /** Rooms that one connection may be in at the same time. Above: `join` throws `ERR_JOINS_MAX`. Default: 128. */
  readonly joinsMax: number;
}

export const defaultMemberLimits: MemberLimits = {
  joinsMax: 128,
};

/** Limits for clients and subscriptions that read history. */
export interface RecoveryLimits {
  /** Publications of a history that are read at once, and then sent before the next are read. Default: 1,000. */
  readonly recoverMessagesMax: number;
  /** Bytes of these publications; at least one is read. Default: 64 KiB. */
  readonly recoverBytesMax: number;
  /** Missed publications that a client of `enfilade.v1` gets when it resumes: the newest. Default: no limit. */
  readonly recoverTotalMessagesMax: number;
}

export const defaultRecoveryLimits: RecoveryLimits = {
  recoverMessagesMax: 1_000,
  recoverBytesMax: 64 * 1024,
  recoverTotalMessagesMax: Number.POSITIVE_INFINITY,
};
