import { type IncomingHttpHeaders, maxHeaderSize } from "node:http";
import type { Clock } from "../../connection/clock.js";
import type { IncomingMemory } from "../../connection/memory/incoming.js";
import type {
  FrameReceiver,
  Refusal,
  Transport,
  TransportOptions,
  TransportRequest,
} from "../../connection/transport.js";
import type { AttentiveClocks } from "../../connection/watch/attentiveClock.js";
import { Watches } from "../../connection/watch/watch.js";
import type { Dialects } from "../../protocol/dialects.js";
import { v1Rooms } from "../../wire/frames.js";
import { encodePath, roomName } from "../../wire/path.js";
import { messageService, type Service } from "../access/service.js";
import type { Limits } from "../limits.js";
import { refusal } from "../refusal.js";
import type { Destination, Router } from "../router.js";
import type { OpenFrame } from "./roomFrames.js";
import type { RoomTransport } from "./roomTransport.js";
import { SharedSocket } from "./sharedSocket.js";

/** The bytes of a frame beside its message. */
const envelopeBytes = 2_048;
/** Frames of one turn: one that opens a room costs more than a message, and most of it after the turn. */
const turnFramesMax = 64;
/** The destination of a client that opens a socket for many rooms, at any path. */
export const sharedSocket = { isShared: true } as const;
export type SharedDestination = typeof sharedSocket;

/** Whether a client asks for a socket with many rooms. */
export function offersRooms({ "sec-websocket-protocol": offered = "" }: IncomingHttpHeaders = {}): boolean {
  return offered.split(",").some((name) => name.trim() === v1Rooms);
}

export interface SharedSocketsDeps {
  readonly limits: Limits;
  readonly clock: Clock;
  readonly attentiveClocks: AttentiveClocks;
  readonly incomingMemory: IncomingMemory;
  readonly dialects: Dialects;
  readonly compression: boolean;
  readonly receiver: FrameReceiver;
  readonly router: Router;
  readonly find: (target: string) => Destination | Refusal;
  readonly receive: (
    transport: Transport,
    asked: TransportRequest,
    found: Destination | Refusal,
    service: Service,
  ) => void;
  readonly isAccepting: () => boolean;
}

/** The sockets with many rooms of an app. */
export class SharedSockets {
  readonly #deps: SharedSocketsDeps;
  readonly #clock: Clock;
  readonly #watches: Watches;
  readonly #sockets = new Set<SharedSocket>();
  readonly #messages: Service;
  #transportOptions: TransportOptions;

  constructor(deps: SharedSocketsDeps) {
    const { limits, clock, attentiveClocks, incomingMemory, compression, receiver, dialects } = deps;
    this.#deps = deps;
    this.#clock = attentiveClocks.of(limits);
    this.#watches = new Watches(this.#clock, limits, incomingMemory);
    this.#messages = messageService(dialects);
    const turnMessagesMax = Math.min(limits.turnMessagesMax, turnFramesMax);
    this.#transportOptions = { ...limits, turnMessagesMax, clock, compression, receiver, subprotocols: [v1Rooms] };
  }

  /** The options of the next socket. One object for all, unless routes are added. */
  get transportOptions(): TransportOptions {
    const { limits, router } = this.#deps;
    const ofRoutes = router.routes.map((route) => route.limits.messageBytesMax);
    // A frame has more than its message: the room, and bytes in base64.
    const messageBytesMax = envelopeBytes + Math.ceil((Math.max(limits.messageBytesMax, ...ofRoutes) * 4) / 3);
    if (this.#transportOptions.messageBytesMax !== messageBytesMax) {
      this.#transportOptions = { ...this.#transportOptions, messageBytesMax };
    }
    return this.#transportOptions;
  }

  /** Serves an open socket. Resolves when it has ended. */
  serve(transport: Transport, asked: TransportRequest): Promise<void> {
    const { limits, isAccepting } = this.#deps;
    return new Promise((resolve) => {
      const socket = new SharedSocket(transport, {
        limits,
        frameBytesMax: this.#transportOptions.messageBytesMax,
        clock: this.#clock,
        watches: this.#watches,
        connect: (room, frame, of) => this.#connect(room, frame, of, asked),
        isEnding: () => !isAccepting(),
        onEnd: (ended) => {
          this.#sockets.delete(ended);
          resolve();
        },
      });
      this.#sockets.add(socket);
    });
  }

  /** No client is accepted any more: closes the sockets without rooms, and the others when they have none. */
  endEmpty(): void {
    for (const socket of [...this.#sockets]) socket.endIfEmpty();
  }

  #connect(transport: RoomTransport, frame: OpenFrame, socket: SharedSocket, by: TransportRequest): void {
    const { dialects, receive } = this.#deps;
    const { room, query, secret, token } = frame;
    const { socketRooms } = socket;
    const path = this.#pathOf(room);
    const url = `${path ?? unknownPath(room)}${query === "" ? "" : `?${query}`}`;
    const service: Service = {
      ...this.#messages,
      socketRooms,
      dialectOf: ({ framing }, request, eventProtocol) =>
        dialects.ofRoom(framing, request, eventProtocol, { secret, socketRooms }),
      run: (session, onEnded) => transport.serve(session, onEnded),
    };
    receive(transport, { ...by, url, token, raw: undefined }, this.#destinationOf(path, frame, socket), service);
  }

  #destinationOf(path: string | undefined, frame: OpenFrame, socket: SharedSocket): Destination | Refusal {
    if (path === undefined || !isQuery(frame.query)) return refusal("path", 400, "The path is not valid");
    // They are kept as long as the connection, as the headers of a request.
    if (keptLengthOf(frame) > maxHeaderSize) return refusal("request", 431);
    if (!socket.mayOpen(this.#deps.limits.joinsMax)) return refusal("rooms", 429, "Too many rooms on this socket");
    return this.#deps.find(path);
  }

  /** The request target of a room; `undefined` if the name is not canonical: frames are found by it. */
  #pathOf(room: string): string | undefined {
    try {
      const name = roomName(room, this.#deps.limits);
      return name === room ? encodePath(name) : undefined;
    } catch {
      return undefined;
    }
  }
}

/** The characters of a query in a request target: a URL library escapes all others. */
function isQuery(query: string): boolean {
  return /^[!-"$-~]*$/.test(query);
}

function keptLengthOf({ query, secret = "", token = "" }: OpenFrame): number {
  return query.length + secret.length + token.length;
}

/** A name that is no path, as the target of a request that is refused: with the characters and the length of one. */
function unknownPath(room: string): string {
  // Through bytes: a lone surrogate cannot be escaped.
  return encodeURI(Buffer.from(room).toString()).slice(0, maxHeaderSize);
}
