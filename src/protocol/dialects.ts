import type { ConnectionRequest } from "../connection/request.js";
import type { Framing, Transport } from "../connection/transport.js";
import type { EventProtocol } from "../wire/events/protocol.js";
import { v1 } from "../wire/frames.js";
import type { Dialect, SocketRooms } from "./dialect.js";
import { EventStreamDialect } from "./http/eventStream.js";
import { eventStreamEncoder } from "./http/eventStreamEncoder.js";
import { ExchangeDialect } from "./http/exchange.js";
import { plainDialect } from "./plain.js";
import { Receipts, type ReceiptsDeps } from "./receipts/receipts.js";
import { Streams, type StreamsDeps } from "./streams/streams.js";
import { clientOf, type V1Client } from "./v1/client.js";
import { V1Dialect } from "./v1/dialect.js";
import { type FrameEncoder, v1Encoder } from "./v1/encoder.js";
import { RoomEncoder } from "./v1/roomEncoder.js";

/** The dialects of one app, with the state of clients that outlives their connections. */
export class Dialects {
  /** The names of the subprotocols of this library. */
  readonly subprotocols: readonly string[] = [v1];
  readonly #receipts: Receipts;
  readonly #streams: Streams;

  constructor(deps: ReceiptsDeps & StreamsDeps) {
    this.#receipts = new Receipts(deps);
    this.#streams = new Streams(deps);
  }

  /** Ends all streams: the app closes. */
  close(): void {
    this.#streams.loseAll();
  }

  /** Forgets the frames that clients of this user sent, and the replies, and ends the streams to them. */
  forgetUser(userId: string): void {
    this.#streams.loseOf(userId);
    this.#receipts.forgetUser(userId);
  }

  /** The dialect of a client, chosen by the subprotocol of its transport. */
  of({ framing, protocol }: Transport, request: ConnectionRequest, eventProtocol: EventProtocol): Dialect {
    if (protocol !== v1) return plainDialect(framing, eventProtocol);
    return this.#v1(v1Encoder(framing, eventProtocol), clientOf(request));
  }

  /** The dialect of one of the connections on a shared socket. */
  ofRoom(
    framing: Framing,
    request: ConnectionRequest,
    eventProtocol: EventProtocol,
    { secret, socketRooms }: { readonly secret: string | undefined; readonly socketRooms: SocketRooms },
  ): Dialect {
    const encoder = new RoomEncoder(v1Encoder(framing, eventProtocol), request.path);
    return this.#v1(encoder, clientOf(request, secret), socketRooms);
  }

  #v1(encoder: FrameEncoder, client: V1Client, socketRooms?: SocketRooms): Dialect {
    return new V1Dialect({ encoder, client, receipts: this.#receipts, streams: this.#streams, socketRooms });
  }

  /** The dialect of a client that reads a room as an event stream. */
  ofEventStream(request: ConnectionRequest, eventProtocol: EventProtocol): EventStreamDialect {
    return new EventStreamDialect(eventStreamEncoder(eventProtocol), request);
  }

  /**
   * The dialect of a client that sends one message and gets one answer.
   *
   * @param key The same for a message that is sent again; `undefined`: it is not sent again.
   */
  ofExchange(key: string | undefined, eventProtocol: EventProtocol): ExchangeDialect {
    return new ExchangeDialect(eventProtocol, this.#receipts, key);
  }
}
