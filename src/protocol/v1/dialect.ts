import type { Gap } from "../../backplane/backplane.js";
import { isConnectionId, newConnectionId } from "../../backplane/connectionId.js";
import type { Delivery } from "../../backplane/delivery.js";
import type { DeliveryPolicy } from "../../connection/policy.js";
import type { ConnectionRequest } from "../../connection/request.js";
import { isReported } from "../../diagnostics.js";
import { CloseCode } from "../../wire/closeCodes.js";
import type { OutgoingEvent } from "../../wire/events/protocol.js";
import { type FrameId, secretPrefix } from "../../wire/frames.js";
import { Message } from "../../wire/message.js";
import { Payload } from "../../wire/payload.js";
import { type Position, readPosition } from "../../wire/position.js";
import type {
  Dialect,
  DialectSession,
  JoiningClient,
  Member,
  Replies,
  Resumption,
  SessionDialect,
} from "../dialect.js";
import { LossTracker } from "../lossTracker.js";
import { hashOf } from "../receipts/clientReceipts.js";
import type { Receipts } from "../receipts/receipts.js";
import { type FrameReceiver, ReceivedFrames } from "../receipts/receivedFrames.js";
import { replyText } from "../receipts/reply.js";
import { ConnectionStreams } from "../streams/connectionStreams.js";
import type { Streams } from "../streams/streams.js";
import type { V1Encoder } from "./encoder.js";
import { frameText, type IncomingFrame, readFrame } from "./frames.js";
import { PresenceRequests } from "./presenceRequests.js";
import { V1Requests } from "./requests.js";

/** The dialect of an `enfilade.v1` client (PROTOCOL.md): turns frames into messages for the handler or answers them. */
export class V1Dialect implements Dialect, SessionDialect, JoiningClient, Replies, FrameReceiver {
  readonly clientName: string | undefined;
  readonly since: Position | "invalid" | undefined;
  readonly reportsLosses = true;
  readonly #encoder: V1Encoder;
  readonly #losses = new LossTracker();
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

  constructor(encoder: V1Encoder, { query, headers }: ConnectionRequest, receipts: Receipts, streams: Streams) {
    this.#encoder = encoder;
    this.#receipts = receipts;
    this.#appStreams = streams;
    this.#frames = new ReceivedFrames(receipts, this);
    this.clientName = clientNameOf(query.get("client"));
    this.#secret = this.clientName && (secretOf(headers["sec-websocket-protocol"]) ?? newConnectionId());
    const since = query.get("since");
    this.since = since === null ? undefined : (readPosition(since) ?? "invalid");
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
    const fields = { id: member.id, room: member.home, secret: this.#secret, ...resumption };
    this.#losses.begin(resumption.position?.offset ?? 0);
    member.release(this.#encoder.encodeText(frameText("welcome", { ...fields, heartbeatMs: heartbeatMs || 0 })));
  }

  onSkipped(count: number): void {
    this.#losses.recordLoss(count);
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
    this.#losses.recordSent(position);
  }

  onDropped(position: Position | undefined, policy: DeliveryPolicy): void {
    this.#losses.recordDropped(position, policy);
  }

  reportLosses(): Uint8Array[] {
    return this.#losses.take().map((loss) => this.#encoder.encodeText(frameText("lagged", loss)));
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

function clientNameOf(client: string | null): string | undefined {
  return client !== null && /^[\w-]{16,64}$/.test(client) ? client : undefined;
}

/** The secret among the offered subprotocols; `undefined` if there is none, or none that a server can have made. */
function secretOf(offered = ""): string | undefined {
  const entry = offered.split(",").find((one) => one.trimStart().startsWith(secretPrefix));
  const secret = entry?.trim().slice(secretPrefix.length);
  return secret !== undefined && isConnectionId(secret) ? secret : undefined;
}
