import type { Gap } from "../../backplane/backplane.js";
import { newConnectionId } from "../../backplane/connectionId.js";
import type { Delivery } from "../../backplane/delivery.js";
import type { DeliveryPolicy } from "../../connection/policy.js";
import { isReported } from "../../diagnostics.js";
import { CloseCode } from "../../wire/closeCodes.js";
import type { OutgoingEvent } from "../../wire/events/protocol.js";
import type { FrameId } from "../../wire/frames.js";
import { Message } from "../../wire/message.js";
import type { RoomPath } from "../../wire/path.js";
import { Payload } from "../../wire/payload.js";
import type { Position } from "../../wire/position.js";
import type {
  Dialect,
  DialectSession,
  JoiningClient,
  Member,
  Replies,
  Resumption,
  RoomJoins,
  SessionDialect,
  SocketRooms,
} from "../dialect.js";
import { LossTracker } from "../lossTracker.js";
import { hashOf } from "../receipts/clientReceipts.js";
import type { Receipts } from "../receipts/receipts.js";
import { type FrameReceiver, ReceivedFrames } from "../receipts/receivedFrames.js";
import { replyText } from "../receipts/reply.js";
import { ConnectionStreams } from "../streams/connectionStreams.js";
import type { Streams } from "../streams/streams.js";
import type { V1Client } from "./client.js";
import type { FrameEncoder } from "./encoder.js";
import { frameText, type IncomingFrame, readFrame } from "./frames.js";
import { PresenceRequests } from "./presenceRequests.js";
import { V1Requests } from "./requests.js";

export interface V1DialectDeps {
  readonly encoder: FrameEncoder;
  readonly client: V1Client;
  readonly receipts: Receipts;
  readonly streams: Streams;
  /** The rooms of the socket, if the client has several connections on it. */
  readonly socketRooms: SocketRooms | undefined;
}

/** The dialect of an `enfilade.v1` client (PROTOCOL.md): turns frames into messages for the handler or answers them. */
export class V1Dialect implements Dialect, SessionDialect, JoiningClient, RoomJoins, Replies, FrameReceiver {
  readonly clientName: string | undefined;
  readonly since: Position | "invalid" | undefined;
  readonly socketRooms: SocketRooms | undefined;
  readonly reportsLosses = true;
  readonly #encoder: FrameEncoder;
  /** Made on first use. */
  #losses: LossTracker | undefined;
  /** The last positions in the rooms that the client was in besides its home; `undefined` if there is none. */
  readonly #joined: Map<string, Position> | undefined;
  #session: DialectSession | undefined;
  /** Proves that connections are of the same client; `undefined` if the client has no id. */
  readonly #secret: string | undefined;
  readonly #frames: ReceivedFrames;
  readonly #receipts: Receipts;
  readonly #appStreams: Streams;
  /** Made on first use. */
  #streams: ConnectionStreams | undefined;
  /** Made on first use. */
  #requests: V1Requests | undefined;
  /** Made on first use. */
  #watch: PresenceRequests | undefined;

  constructor({ encoder, client, receipts, streams, socketRooms }: V1DialectDeps) {
    const { name, secret, since, joined } = client;
    this.socketRooms = socketRooms;
    this.#encoder = encoder;
    this.#receipts = receipts;
    this.#appStreams = streams;
    this.#frames = new ReceivedFrames(receipts, this);
    this.clientName = name;
    this.#secret = name && (secret ?? newConnectionId());
    this.since = since;
    this.#joined = joined;
  }

  start(session: DialectSession): void {
    const { member, userId } = session;
    this.#session = session;
    const { clientName } = this;
    const identity = clientName && hashOf(JSON.stringify([member.home, userId ?? null, clientName, this.#secret]));
    this.#frames.start(identity, userId);
    member.holdBack();
  }

  end(): void {
    this.#watch?.end();
    this.#streams?.end();
    this.#frames.end();
  }

  get id(): string {
    return this.#session?.member.id ?? "";
  }

  get session(): SessionDialect {
    return this;
  }

  get joining(): JoiningClient {
    return this;
  }

  get joins(): RoomJoins {
    return this;
  }

  get replies(): Replies {
    return this;
  }

  get requests(): V1Requests | undefined {
    if (this.#requests === undefined && this.#session !== undefined) {
      const { member, clock } = this.#session;
      this.#requests = new V1Requests({ member, clock, send: (text) => this.sendFrame(text) });
    }
    return this.#requests;
  }

  get #lossTracker(): LossTracker {
    this.#losses ??= new LossTracker();
    return this.#losses;
  }

  get #presenceRequests(): PresenceRequests | undefined {
    if (this.#session !== undefined) this.#watch ??= new PresenceRequests(this.#session);
    return this.#watch;
  }

  get #connectionStreams(): ConnectionStreams | undefined {
    const session = this.#session;
    if (session !== undefined) {
      const deps = { streams: this.#appStreams, receipts: this.#receipts, frames: this.#frames, session };
      this.#streams ??= new ConnectionStreams(deps);
    }
    return this.#streams;
  }

  welcome(resumption: Resumption): void {
    const member = this.#session?.member;
    if (member === undefined) return;
    const { heartbeatMs } = member.limits;
    const fields = { id: member.id, secret: this.#secret, ...resumption, heartbeatMs: heartbeatMs || 0 };
    if (resumption.position !== undefined) this.#lossTracker.begin(resumption.position.offset);
    member.release(this.#encoder.encodeFrame("welcome", fields, member.home));
  }

  sinceOf(path: RoomPath): Position | undefined {
    const since = this.#joined?.get(path);
    // A client that leaves and joins again misses nothing that it should have got.
    this.#joined?.delete(path);
    return since;
  }

  onJoined(path: RoomPath, resumption: Resumption): void {
    this.#pushAbout("joined", resumption, path);
  }

  onLeft(path: RoomPath): void {
    this.#pushAbout("left", {}, path);
  }

  #pushAbout(type: string, fields: object, path: RoomPath): void {
    this.#session?.member.push(this.#encoder.encodeFrame(type, fields, path), undefined);
  }

  onSkipped(count: number): void {
    this.#lossTracker.recordLoss(count);
    this.#session?.member.reportLosses();
  }

  encode(delivery: Delivery, member: Member): Uint8Array | undefined {
    return this.#encoder.encode(delivery, member);
  }

  encodePayload(payload: Payload): Uint8Array {
    return this.#encoder.encodePayload(payload);
  }

  encodeGap(gap: Gap, address: string, member: Member): Uint8Array {
    return this.#encoder.encodeGap(gap, address, member);
  }

  encodeDrain(withinMs: number, afterMs: number): Uint8Array {
    return this.#encoder.encodeText(frameText("drain", { withinMs, afterMs }));
  }

  onSent(position: Position | undefined): void {
    if (position !== undefined) this.#lossTracker.recordSent(position);
  }

  onDropped(position: Position | undefined, policy: DeliveryPolicy): void {
    this.#lossTracker.recordDropped(position, policy);
  }

  reportLosses(): Uint8Array[] {
    const losses = this.#losses?.take() ?? [];
    return losses.map((loss) => this.#encoder.encodeText(frameText("lagged", loss)));
  }

  receive(message: Message): Message | undefined {
    if (!message.isText) return message;
    try {
      return this.#handleFrame(readFrame(message));
    } catch (error) {
      this.#session?.onError(error);
      return undefined;
    }
  }

  get isAwaited(): boolean {
    return this.#frames.current !== undefined;
  }

  reply(outgoing: OutgoingEvent): boolean {
    if (outgoing.kind === "event" || outgoing.kind === "item") return false;
    const { kind, id } = outgoing;
    const outcome = kind === "reply" ? { data: outgoing.data ?? null } : { error: outgoing.error };
    // The handler answers the message that it is handling; an id in its data is ignored.
    const { current } = this.#frames;
    if (current !== undefined) current.answer(outcome);
    else if (id !== undefined) this.sendFrame(replyText(id, outcome));
    else if (kind === "error") this.sendFrame(frameText("error", { event: outgoing.event, ...outcome }));
    return true;
  }

  /** Sends a reply, an error or a request. */
  sendFrame(text: string): void {
    const bytes = this.#encoder.encodeText(text);
    const member = this.#session?.member;
    if (member !== undefined && isReported(member)) member.reportOut(Payload.encodedJSON(text), bytes);
    member?.push(bytes, undefined);
  }

  #handleFrame(frame: IncomingFrame): Message | undefined {
    if (frame.type === "message" || frame.type === "event") return this.#messageOf(frame);
    if (frame.type === "ping") this.#session?.member.push(this.#encoder.encodeText(frameText("pong", {})), undefined);
    else if (frame.type === "watch") this.#presenceRequests?.ask();
    else if (frame.type === "reply") this.#requests?.settle(frame.id, frame.outcome);
    else if (frame.type === "ack") this.#streams?.acknowledge(frame.id, frame.seq);
    else if (frame.type === "cancel") this.#streams?.cancel(frame.id);
    else if (frame.type === "bad") this.#refuseFrame(frame.id);
    else this.#session?.onRefresh(frame.token);
    return undefined;
  }

  /** The message for the handler; `undefined` if the handler has got it before. */
  #messageOf(frame: IncomingFrame & { readonly type: "message" | "event" }): Message | undefined {
    const event = frame.type === "event" ? frame.event : undefined;
    if (frame.id === undefined) return Message.within(frame.text, { event });
    if (frame.type === "event" && frame.stream !== undefined) {
      const origin = this.#connectionStreams?.request(frame.id, frame.stream);
      return origin && Message.within(frame.text, { event, ...origin });
    }
    const receipt = this.#frames.receive(frame.id);
    return receipt && Message.within(frame.text, { event, receipt });
  }

  #refuseFrame(id: FrameId | undefined): void {
    if (id === undefined) this.#session?.member.close(CloseCode.badFrame, "bad frame", false);
    else this.sendFrame(replyText(id, { error: badFrame }));
  }
}

const badFrame = { code: "bad_frame", message: "this is no frame of enfilade.v1" };
