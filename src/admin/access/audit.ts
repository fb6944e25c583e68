import { escaped } from "../../wire/line.js";

/** One call of an operator that changes something, whether it succeeded or not. */
export interface AuditEntry {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** The name of the operator, as `authorize` returned it. */
  readonly operator: string;
  /** The address of the operator. */
  readonly address: string;
  /** The node that performed the call. */
  readonly node: string;
  /** What the operator did. */
  readonly action: "send" | "close" | "evict" | "revoke";
  /** Whom it concerns, such as `{ user: "ann" }`. It has no content of messages. */
  readonly target: unknown;
  /** `done`, or the code of the error. */
  readonly result: string;
}

/** An entry as one line of printable ASCII characters. Texts in it are quoted and escaped. */
export function auditLine({ operator, address, node, action, target, result }: AuditEntry): string {
  const who = `${escaped(operator)} (${escaped(address)})`;
  return `enfilade: admin: ${who} on ${escaped(node)}: ${action} ${escaped(target)}: ${result}`;
}
