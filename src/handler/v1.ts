import type { Position } from "../backplane/backplane.js";
import type { Connection, Dialect } from "../connection/connection.js";
import { asError } from "../errors.js";
import type { Resumption } from "../room/recovery.js";
import type { Newcomer, Registry } from "../room/registry.js";
import { CloseCode } from "../wire/closeCodes.js";
import { Message } from "../wire/message.js";
import type { OutgoingEvent } from "../wire/protocol.js";
import { BadFrame, type ClientFrame, controlFrame, type FrameId, readFrame, replyFrame } from "../wire/v1.js";
import { type AnyHandler, type HandlerContext, userId } from "./handler.js";
import { type ClientReceipts, FrameReceipt, FrameRecord, type Receipts } from "./receipts.js";

/** What the clients of one route that speak `enfilade.v1` have in common. */
export interface V1Setting {
  readonly registry: Registry;
  readonly receipts: Receipts;
  /** Asks scopes and handler again; the user they let in, or `undefined` when one of them refuses. */
  readonly authorize: (handler: AnyHandler, context: HandlerContext) => Promise<{ readonly user: unknown } | undefined>;
  readonly report: (error: Error, connection: Connection) => void;
}

export interface V1Parts extends V1Setting {
  readonly handler: AnyHandler;
  readonly context: HandlerContext;
  readonly connection: Connection;
}

/** One client that speaks `enfilade.v1` (PROTOCOL.md): its frames become messages for the handler, or are answered here. */
export class V1 implements Dialect, Newcomer {
  readonly since: Position | "invalid" | undefined;
  readonly #parts: V1Parts;
  readonly #client: ClientReceipts;
  /** What the handler is busy with. */
  #current: FrameRecord | undefined;
  readonly #busyWith = (record: FrameRecord | undefined): void => {
    this.#current = record;
  };

  constructor(parts: V1Parts) {
    const { query } = parts.connection.request;
    this.#parts = parts;
    this.since = positionOf(query.get("since"));
    this.#client = parts.receipts.of(clientOf(query.get("client")));
  }

  welcome(resumption: Resumption): void {
    const { connection } = this.#parts;
    const { id, request, limits } = connection;
    const heartbeatMs = limits.heartbeatMs === false ? 0 : limits.heartbeatMs;
    connection.send(controlFrame("welcome", { id, room: request.path, ...resumption, heartbeatMs }));
  }

  /** Sends the roster of the home, where presence is kept. */
  watch(): void {
    const { registry, connection } = this.#parts;
    const room = registry.openRoom(connection.request.path);
    if (room?.members.has(connection)) room.presence?.watch(connection);
  }

  receive(message: Message): Message | undefined {
    if (!message.isText) return message;
    try {
      return this.#take(readFrame(message));
    } catch (error) {
      if (!(error instanceof BadFrame)) throw error;
      this.#refuse(error.id);
      return undefined;
    }
  }

  reply(outgoing: OutgoingEvent): boolean {
    if (outgoing.kind === "event") return false;
    const { kind, id = this.#current?.id } = outgoing;
    const outcome = kind === "reply" ? { data: outgoing.data ?? null } : { error: outgoing.error };
    if (id !== undefined) this.#client.byId.get(id)?.answer(outcome);
    else if (kind === "error")
      this.#parts.connection.send(controlFrame("error", { event: outgoing.event, ...outcome }));
    return true;
  }

  #take(frame: ClientFrame): Message | undefined {
    const { receipts, connection } = this.#parts;
    receipts.touch(this.#client);
    if (frame.type === "message" || frame.type === "event") return this.#messageOf(frame);
    if (frame.type === "ping") connection.send(controlFrame("pong", {}));
    else if (frame.type === "watch") this.watch();
    else this.#refresh(frame.token).catch((error) => this.#fail(error));
    return undefined;
  }

  /** The message for the handler, unless it was begun already. */
  #messageOf(frame: ClientFrame & { readonly type: "message" | "event" }): Message | undefined {
    const event = frame.type === "event" ? frame.event : undefined;
    if (frame.id === undefined) return Message.within(frame.text, { event });
    const { connection } = this.#parts;
    const record = this.#client.byId.get(frame.id) ?? new FrameRecord(frame.id, connection);
    this.#client.byId.set(frame.id, record);
    record.cameOver(connection);
    if (record.begun) return undefined;
    return Message.within(frame.text, { event, receipt: new FrameReceipt(record, this.#busyWith) });
  }

  #refuse(id: FrameId | undefined): void {
    const { connection } = this.#parts;
    if (id === undefined) connection.end(CloseCode.badFrame, "bad frame", false);
    else connection.send(replyFrame(id, { error: badFrame }));
  }

  async #refresh(token: string): Promise<void> {
    const { handler, context, connection, authorize } = this.#parts;
    connection.request.renew(token);
    const admitted = await authorize(handler, context);
    // Whoever becomes another user would still be addressed as the one he was.
    const stays = admitted !== undefined && userId(admitted.user) === userId(context.user);
    if (stays) context.user = admitted.user;
    else connection.end(CloseCode.unauthorized, "unauthorized", false);
  }

  #fail(error: unknown): void {
    const { connection, report } = this.#parts;
    connection.end(CloseCode.internalError, "internal error", false);
    report(asError(error), connection);
  }
}

const badFrame = { code: "bad_frame", message: "this is no frame of enfilade.v1" };

/** `epoch:offset` of the query; of no more than a position may be. */
function positionOf(since: string | null): Position | "invalid" | undefined {
  if (since === null) return undefined;
  const [, epoch, digits] = /^([\w-]{1,64}):(\d{1,16})$/.exec(since) ?? [];
  const offset = Number(digits);
  return epoch !== undefined && Number.isSafeInteger(offset) ? { epoch, offset } : "invalid";
}

function clientOf(client: string | null): string | undefined {
  return client !== null && /^[\w-]{16,64}$/.test(client) ? client : undefined;
}
