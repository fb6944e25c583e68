import type { Clock } from "../../connection/clock.js";
import { CloseCode } from "../../wire/closeCodes.js";
import { v1Rooms, type WelcomeFrame } from "../../wire/frames.js";
import { Attempt, type AttemptOwner } from "../connection/attempt.js";
import type { WebSocketConstructor } from "../connection/socket.js";
import type { ReceivedFrame } from "../messages/readFrame.js";
import type { RoomCarrier, RoomConnection } from "./roomConnection.js";

export interface SharedConnectionDeps {
  readonly WebSocket: WebSocketConstructor;
  readonly url: string;
  readonly clock: Clock;
  readonly report: (error: unknown) => void;
  /** The last room has ended. */
  readonly onEmpty: (connection: SharedConnection) => void;
  readonly onEnd: (connection: SharedConnection) => void;
}

/** The fields of each frame about a room: the connection, and the room that it is about, if that is another one. */
interface AboutRoom {
  readonly room?: string;
  readonly address?: string;
}

/** A frame of the server about a room. */
type SocketFrame = ReceivedFrame | ControlFrame;
/** The first frame. */
interface SocketWelcome {
  readonly type: "welcome";
  /** Bytes of one frame. Above: the server closes the socket with 1009. */
  readonly frameBytesMax: number;
}
type ControlFrame =
  | (Omit<WelcomeFrame, "type"> & { readonly type: "opened" })
  | { readonly type: "pause" }
  | { readonly type: "resume" }
  | { readonly type: "refused"; readonly status: number; readonly reason?: string }
  | { readonly type: "closed"; readonly code: number; readonly reason: string };

/** One WebSocket with many rooms. */
export class SharedConnection implements RoomCarrier, AttemptOwner {
  readonly #deps: SharedConnectionDeps;
  readonly #attempt: Attempt;
  readonly #rooms = new Map<string, RoomConnection>();
  /**
   * The rooms that the server was asked to open, until it ends them. `true` if this client has closed the room: what
   * arrives is of the last connection, and the next one waits.
   */
  readonly #asked = new Map<string, boolean>();
  /** 0 until the socket is open. */
  #frameBytesMax = 0;

  constructor(deps: SharedConnectionDeps) {
    const { WebSocket, url, clock, report } = deps;
    this.#deps = deps;
    this.#attempt = new Attempt(
      // The rooms log their frames.
      { WebSocket, clock, report, url: () => url, offer: async () => [v1Rooms], trace: () => undefined },
      this,
    );
  }

  get isEmpty(): boolean {
    return this.#rooms.size === 0;
  }

  /** Whether a room can be opened on this socket. While another server takes over, a room has two connections. */
  accepts({ room }: RoomConnection): boolean {
    return !(this.#attempt.hasEnded || this.#rooms.has(room));
  }

  add(connection: RoomConnection): void {
    this.#rooms.set(connection.room, connection);
    connection.start(this);
    this.#open(connection);
  }

  send(connection: RoomConnection, text: string): void {
    if (this.#sendIfFits(text)) return;
    // The server learns that the room has ended.
    this.sendClose(connection, JSON.stringify({ type: "close", room: connection.room }));
    connection.end(CloseCode.messageTooBig, "message too big");
  }

  sendClose({ room }: RoomConnection, text: string): void {
    // Else the server does not know this connection, or not any more.
    if (this.#asked.get(room) !== false) return;
    this.#asked.set(room, true);
    this.#sendIfFits(text);
  }

  forget({ room }: RoomConnection): void {
    this.#rooms.delete(room);
    if (this.isEmpty) this.#deps.onEmpty(this);
  }

  close(code = 1000, reason = ""): void {
    if (this.#attempt.hasEnded) return;
    this.#attempt.drop(code, reason);
    this.onEnd(this.#attempt, code, reason);
  }

  onFrame(_attempt: Attempt, received: SocketFrame | SocketWelcome, text: string): void {
    if ("frameBytesMax" in received) {
      this.#frameBytesMax = received.frameBytesMax;
      for (const connection of this.#rooms.values()) this.#open(connection);
      return;
    }
    // The server guarantees the shape described in PROTOCOL.md.
    const frame = received as SocketFrame & AboutRoom;
    const { room = "" } = frame;
    const isClosing = this.#asked.get(room);
    if (frame.type === "closed" || frame.type === "refused") this.#asked.delete(room);
    else if (isClosing) return;
    const connection = this.#rooms.get(room);
    if (!connection) return;
    if (isClosing) this.#open(connection);
    else if (frame.type === "refused") connection.refuse(frame.status, frame.reason);
    else if (frame.type === "closed") connection.end(frame.code, frame.reason);
    else if (frame.type === "pause" || frame.type === "resume") connection.onPaused(frame.type === "pause");
    // The socket has one heartbeat for all rooms.
    else if (frame.type === "opened") connection.onFrame({ ...frame, type: "welcome", heartbeatMs: 0 }, text);
    else connection.onFrame(roomFrameOf(frame), text);
  }

  onEnd(_attempt: Attempt, code: number, reason: string): void {
    const wasOpen = this.#frameBytesMax > 0;
    for (const connection of [...this.#rooms.values()]) {
      if (wasOpen) connection.end(code, reason);
      else connection.fail(reason);
    }
    this.#deps.onEnd(this);
  }

  /** Opens a room, unless it waits for the socket or for the end of its last connection. */
  #open(connection: RoomConnection): void {
    const { room, open } = connection;
    if (!this.#frameBytesMax || this.#asked.has(room)) return;
    if (this.#sendIfFits(open)) this.#asked.set(room, false);
    // As the server refuses what is shorter, and still too long. Later, since nothing listens to a new connection yet.
    else queueMicrotask(() => connection.refuse(431, "token and query are too long"));
  }

  /** Returns `false` for a frame above the limit, for which the server would close all rooms. */
  #sendIfFits(text: string): boolean {
    const max = this.#frameBytesMax;
    // A character has at most three bytes.
    if (text.length * 3 > max && new TextEncoder().encode(text).length > max) return false;
    if (!this.#attempt.hasEnded) this.#attempt.send(text);
    return true;
  }
}

/** The frame as on a socket with one room. */
function roomFrameOf(frame: ReceivedFrame & AboutRoom): ReceivedFrame {
  return frame.type === "presence" && !frame.address ? frame : Object.assign(frame, { room: frame.address });
}
