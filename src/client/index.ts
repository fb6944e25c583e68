export { EnfiladeError } from "../errors.js";
export type { PresentUser } from "../wire/frames.js";
export type { Position } from "../wire/position.js";
export type { AsJSON, ReplyAsJSON } from "./asJSON.js";
export { connect } from "./connect.js";
export type { ClientState, StateDetail } from "./connection/reconnector.js";
export type { SocketEvent, WebSocketConstructor, WebSocketLike } from "./connection/socket.js";
export type { ConnectOptions } from "./connectOptions.js";
export { ConnectError, RequestError } from "./errors.js";
export type {
  EventArguments,
  EventData,
  EventName,
  EventReply,
  ServerEventData,
  ServerEventName,
  ServerOf,
  ServerRequestData,
  ServerRequestName,
  ServerRequestReply,
  StreamItem,
  StreamName,
  StreamReply,
} from "./events.js";
export type { ListenOptions } from "./listeners.js";
export type { LogElement } from "./log.js";
export type { ClientMessage } from "./messages/message.js";
export type { LoadState } from "./messages/messageQueue.js";
export type { RequestOptions } from "./messages/request.js";
export type { StreamOptions } from "./messages/stream.js";
export type { Presence } from "./presence.js";
export type { ClientRoom } from "./room.js";
export type { Dropped, Lost, Recovered, RoomEvents } from "./roomEvents.js";
export type { ClientSocket, SocketRoomOptions } from "./shared/clientSocket.js";
export { connectSocket, type SocketOptions } from "./shared/connectSocket.js";
