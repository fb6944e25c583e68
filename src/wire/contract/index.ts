export type { Schema } from "../schema.js";
export { type Contract, type ContractEvents, contract, type EventSchemas } from "./contract.js";
export type { DataOf, ReplyOf, SentDataOf } from "./eventTypes.js";
