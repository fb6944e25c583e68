/// <reference types="node" preserve="true" />
export type { AuditEntry } from "./access/audit.js";
export { admin } from "./admin.js";
export type { AdminLimits } from "./limits.js";
export type { AdminOptions, Operator, OperatorAnswer } from "./options.js";
