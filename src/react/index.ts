"use client";

export type { UseRoomOptions } from "./options.js";
export type { UseRoomResult, UseRoomState } from "./result.js";
export { useEvent } from "./useEvent.js";
export { useMessages } from "./useMessages.js";
export { usePresence } from "./usePresence.js";
export { type UseRequestResult, useRequest } from "./useRequest.js";
export { useResync } from "./useResync.js";
export { useRoom } from "./useRoom.js";
