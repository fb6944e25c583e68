import type { Connection, Dialect } from "../connection/connection.js";
import type { ConnectionRequest } from "../connection/request.js";
import { asError } from "../errors.js";
import type { JoiningClient } from "../room/history/catchUps.js";
import type { Resumption } from "../room/history/recovery.js";
import type { Registry } from "../room/registry.js";
import { CloseCode } from "../wire/closeCodes.js";
import { internalFault, type OutgoingEvent } from "../wire/events/protocol.js";
import { Message } from "../wire/message.js";
import type { Position } from "../wire/position.js";
import { BadFrame, type ClientFrame, controlFrame, type FrameId, readFrame, replyFrame } from "../wire/v1.js";
import { type AnyHandler, type HandlerContext, userId } from "./handler.js";
import { type ClientReceipts, FrameReceipt, type FrameRecord, type Receipts } from "./receipts.js";

/** What the clients of one route that speak `enfilade.v1` have in common. */
export interface V1Config {
  readonly registry: Registry;
  readonly receipts: Receipts;
  /** Asks scopes and handler again. */
  readonly authorize: (handler: AnyHandler, request: ConnectionRequest) => Promise<Reauthorization>;
  readonly report: (error: Error, connection: Connection) => void;
}

/** What scopes and handler say: a user, `refused`, or `busy` when they cannot say it now. */
export type Reauthorization = { readonly user: unknown } | "refused" | "busy";

export interface V1Deps extends V1Config {
  readonly handler: AnyHandler;
  readonly context: HandlerContext;
  readonly connection: Connection;
}

/** One client that speaks `enfilade.v1` (PROTOCOL.md): its frames become messages for the handler, or are answered here. */
export class V1 implements Dialect, JoiningClient {
  readonly since: Position | "invalid" | undefined;
  readonly #deps: V1Deps;
  /** Who sends, over however many connections: the same client, of the same user, in the same room. */
  readonly #name: string | undefined;
  readonly #client: ClientReceipts;
  /** What the handler is busy with. */
  #current: FrameRecord | undefined;
  #watching = false;
  #refreshing = false;
  #nextToken: string | undefined;
  readonly #busyWith = (record: FrameRecord | undefined): void => {
    this.#current = record;
  };

  constructor(deps: V1Deps) {
    const { request, client } = deps.connection;
    this.#deps = deps;
    this.since = positionOf(request.query.get("since"));
    this.#name = client && JSON.stringify([request.path, userId(deps.context.user) ?? null, client]);
    this.#client = deps.receipts.enter(this.#name);
  }

  welcome(resumption: Resumption): void {
    const { connection } = this.#deps;
    const { id, request, limits } = connection;
    const heartbeatMs = limits.heartbeatMs === false ? 0 : limits.heartbeatMs;
    const welcome = controlFrame("welcome", { id, room: request.path, ...resumption, heartbeatMs });
    connection.welcome(welcome, resumption.position?.offset);
  }

  /** The connection is over, and its handler is not waited for any more. */
  end(): void {
    const { receipts, connection } = this.#deps;
    // Whoever waits for it on another connection still gets what the handler returns.
    if (this.#current?.isAwaitedElsewhere(connection) === false) this.#current.answer({ error: internalFault });
    this.#client.left(connection);
    receipts.leave(this.#name, this.#client);
  }

  /** Sends the roster of the home, where presence is kept; once a tick, however often it is asked for. */
  watchSoon(): void {
    if (this.#watching) return;
    this.#watching = true;
    setImmediate(() => {
      this.#watching = false;
      this.watch();
    });
  }

  /** Sends the roster of the home, where presence is kept. */
  watch(): void {
    const { registry, connection } = this.#deps;
    const room = registry.openRoom(connection.request.path);
    if (room?.members.has(connection)) room.presence?.watch(connection);
  }

  receive(message: Message): Message | undefined {
    if (!message.isText) return message;
    try {
      return this.#take(readFrame(message));
    } catch (error) {
      if (error instanceof BadFrame) this.#refuse(error.id);
      else this.#fail(error);
      return undefined;
    }
  }

  get awaitsReply(): boolean {
    return this.#current !== undefined;
  }

  reply(outgoing: OutgoingEvent): boolean {
    if (outgoing.kind === "event") return false;
    const { kind, id } = outgoing;
    const { connection } = this.#deps;
    const outcome = kind === "reply" ? { data: outgoing.data ?? null } : { error: outgoing.error };
    // What the handler is busy with is what it answers, whatever id its data may bear.
    if (this.#current !== undefined) this.#current.answer(outcome);
    else if (id !== undefined) connection.send(replyFrame(id, outcome));
    else if (kind === "error") connection.send(controlFrame("error", { event: outgoing.event, ...outcome }));
    return true;
  }

  #take(frame: ClientFrame): Message | undefined {
    const { connection } = this.#deps;
    if (frame.type === "message" || frame.type === "event") return this.#messageOf(frame);
    if (frame.type === "ping") connection.send(controlFrame("pong", {}));
    else if (frame.type === "watch") this.watchSoon();
    else this.#refreshWith(frame.token);
    return undefined;
  }

  /** The message for the handler, unless it was begun already. */
  #messageOf(frame: ClientFrame & { readonly type: "message" | "event" }): Message | undefined {
    const event = frame.type === "event" ? frame.event : undefined;
    if (frame.id === undefined) return Message.within(frame.text, { event });
    const { connection } = this.#deps;
    const record = this.#client.came(frame.id, connection);
    if (record.begun) return undefined;
    return Message.within(frame.text, { event, receipt: new FrameReceipt(record, this.#busyWith) });
  }

  #refuse(id: FrameId | undefined): void {
    const { connection } = this.#deps;
    if (id === undefined) connection.end(CloseCode.badFrame, "bad frame", false);
    else connection.send(replyFrame(id, { error: badFrame }));
  }

  /** One at a time, and of those that come meanwhile the last. */
  #refreshWith(token: string): void {
    this.#nextToken = token;
    if (this.#refreshing) return;
    this.#refreshing = true;
    this.#refresh()
      .catch((error) => this.#fail(error))
      .finally(() => {
        this.#refreshing = false;
      });
  }

  async #refresh(): Promise<void> {
    const { handler, connection, authorize } = this.#deps;
    for (let token = this.#nextToken; token !== undefined && connection.isOpen; token = this.#nextToken) {
      this.#nextToken = undefined;
      this.#admit(await authorize(handler, connection.request.with(token)), token);
    }
  }

  #admit(admission: Reauthorization, token: string): void {
    const { context, connection } = this.#deps;
    if (admission === "busy") {
      connection.end(CloseCode.tryAgainLater, "try again later", false);
    } else if (admission === "refused" || userId(admission.user) !== userId(context.user)) {
      // Whoever became another user would still be addressed as the one he was.
      connection.end(CloseCode.unauthorized, "unauthorized", false);
    } else {
      connection.request.renew(token);
      context.user = admission.user;
      connection.renewUser(admission.user);
    }
  }

  #fail(error: unknown): void {
    const { connection, report } = this.#deps;
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
