/** What the rooms enforce for one connection. */
export interface MemberLimits {
  /** Rooms of one connection. Past it: `join` throws. Default: 128. */
  readonly joinsMax: number;
}

export const defaultMemberLimits: MemberLimits = {
  joinsMax: 128,
};

/** What the rooms enforce for clients that resume. */
export interface RecoveryLimits {
  /** Publications that a client gets at most that resumes where it left off. Past it: not recovered. Default: 1,000. */
  readonly recoverMessagesMax: number;
}

export const defaultRecoveryLimits: RecoveryLimits = {
  recoverMessagesMax: 1_000,
};
