"use client";

export { useEvent, useMessages, useResync } from "./listeners.js";
export type { UseRoomOptions } from "./options.js";
export type { UseRoomResult, UseRoomState } from "./result.js";
export { usePresence } from "./usePresence.js";
export { type UseRequestResult, useRequest } from "./useRequest.js";
export { useRoom } from "./useRoom.js";
