/**
 * The data between the pages of the admin and its server, as types. Every time is in milliseconds since 1970 and every
 * rate is per second, unless the name has another unit. Every string may come from a client: show it as text.
 */

export type * from "./api/calls.js";
export type * from "./api/lists.js";
export type * from "./api/live.js";
export type * from "./api/overview.js";
export type * from "./api/records.js";
export type * from "./api/session.js";
