import { type Connection, connectionOf } from "../connection/connection.js";
import { type Span, trace, traces } from "../diagnostics.js";
import { asError, type CloseInfo, ConnectionError, MessageError } from "../errors.js";
import type { Member } from "../protocol/dialect.js";
import { V1Dialect } from "../protocol/v1/dialect.js";
import type { Receipts } from "../protocol/v1/receipts.js";
import type { MemberConfig } from "../room/memberships.js";
import type { Registry } from "../room/registry.js";
import { CloseCode } from "../wire/closeCodes.js";
import type { Application } from "./application.js";
import { CredentialRefresh, type Reauthorize } from "./credentialRefresh.js";
import { type AnyHandler, type HandlerContext, userId } from "./handler.js";
import type { Reader, ReadSession } from "./reader.js";

/** What the sessions of one route have in common. */
export interface SessionConfig {
  /** The pattern of the route. */
  readonly route: string;
  readonly registry: Registry;
  readonly receipts: Receipts;
  readonly reader: Reader;
  readonly member: MemberConfig;
  /** Asks scopes and handler again. */
  readonly reauthorize: Reauthorize;
  /** Called when a connection is in its rooms, before any hook. */
  readonly onEntered: (member: Member) => void;
  /** Called when a connection has ended, and its last hook has finished. */
  readonly onLeft: (member: Member, info: CloseInfo) => void;
  /** Takes what a hook threw. */
  readonly report: (error: unknown, member: Member) => void;
}

/** A call of a handler's method, as a span. */
export interface HandlerCall extends Span {
  readonly app: Application;
  readonly connection: Connection;
  /** The pattern of the route. */
  readonly route: string;
  /** The name of the method, such as `onConnect`. */
  readonly method: string;
  /** The name of the event that it answers; `undefined` for a hook. */
  readonly event: string | undefined;
}

/** One connection and the handler that the user wrote for it. */
export class Session implements ReadSession {
  constructor(
    readonly handler: AnyHandler,
    readonly context: HandlerContext,
    readonly member: Member,
    readonly config: SessionConfig,
  ) {}

  call(method: string, args: readonly unknown[], event?: string): unknown {
    const { handler, member, config } = this;
    const called: unknown = Reflect.get(handler, method);
    if (typeof called !== "function") return undefined;
    if (!traces.handler.hasSubscribers) return Reflect.apply(called, handler, args);
    const connection = connectionOf(member);
    const call: HandlerCall = { app: handler.app, connection, route: config.route, method, event };
    return trace(traces.handler, call, () => Reflect.apply(called, handler, args));
  }

  async report(thrown: unknown): Promise<void> {
    this.config.report(thrown, this.member);
    await this.callOnError(asError(thrown));
  }

  /** Never rejects. */
  async callOnError(error: Error): Promise<void> {
    try {
      await this.call("onError", [error]);
    } catch (second) {
      this.config.report(second, this.member);
    }
  }
}

/** The life of one connection, from its opening to its last hook. Resolves when all of it is over; never rejects. */
export async function runSession(session: Session): Promise<void> {
  const { handler, context, member, config } = session;
  const { registry, reader } = config;
  const { dialect } = member;
  if (dialect instanceof V1Dialect) startV1(dialect, session);
  const past = registry.enter(member, userId(context.user), config.member, dialect.joining);
  config.onEntered(member);
  try {
    if (past !== undefined) await untilDetached(member, past);
    if (dialect.joining !== undefined) watchPresence(session);
    if (handler.onDrain !== undefined)
      member.whenDrained(() => void guarded(session, () => session.call("onDrain", [])));
    const greeted = session.call("onConnect", []);
    if (greeted instanceof Object) await untilDetached(member, greeted);
    if (reader.method !== "serve") await member.each(reader.read, session);
    else if (!member.isDetached) await untilDetached(member, serve(session));
    await untilDetached(member, reportFailure(session));
    member.finish();
  } catch (error) {
    await untilDetached(member, fail(session, error));
  } finally {
    member.detachHandler((error) => void session.report(error));
    context.leftRooms = registry.exit(member);
    if (dialect instanceof V1Dialect) dialect.end();
  }
  const info = await member.ended;
  await guarded(session, () => session.call("onClose", [info.code, info.reason]));
  config.onLeft(member, info);
}

function startV1(dialect: V1Dialect, session: Session): void {
  const { context, member, config } = session;
  const onError = (error: unknown) => {
    member.close(CloseCode.internalError, "internal error", false);
    config.report(error, member);
  };
  const refresh = new CredentialRefresh({ session, reauthorize: config.reauthorize, onError });
  dialect.start({
    ...{ member, onError, userId: userId(context.user), receipts: config.receipts },
    onWatch: () => watchPresence(session),
    onRefresh: (token) => refresh.refreshWith(token),
  });
}

/** Sends the presence of the home, where it is kept. */
function watchPresence({ member, config }: Session): void {
  const room = config.registry.roomState(member.home);
  if (room?.members.has(member)) room.presence?.watch(member);
}

async function serve(session: Session): Promise<void> {
  const { member } = session;
  try {
    await session.call("serve", []);
  } catch (error) {
    // Reading on after the end is how a loop learns of it, not a failure.
    if (!(error instanceof ConnectionError && member.closeInfo !== undefined)) throw error;
  }
}

/**
 * Waits for what a handler does, until closeMs after the end of its connection.
 *
 * A handler that hangs must not keep its rooms; what it throws later is reported anyway.
 */
async function untilDetached(member: Member, work: unknown): Promise<void> {
  const working = Promise.resolve(work);
  working.catch((error) => member.onLateError(error));
  await Promise.race([working, member.untilDetached]);
}

/** A connection that failed is reported to the method that reads, while it is still in its rooms. */
async function reportFailure(session: Session): Promise<void> {
  const { member, config } = session;
  const { closeInfo, isDetached } = member;
  if (closeInfo === undefined || closeInfo.isClean || isDetached) return;
  await config.reader.failed(session, new ConnectionError(closeInfo));
}

/** Ends the connection for what a hook threw; no other connection notices. Never rejects. */
async function fail(session: Session, error: unknown): Promise<void> {
  const { member } = session;
  if (error instanceof MessageError) {
    // A read whose error was not caught: the client's mistake, for the client to know, and not worth a line in our log.
    member.close(CloseCode.invalidPayload, "the message is not valid", false);
    await session.callOnError(error);
  } else {
    // The client learns that it was our fault, and nothing more.
    member.close(CloseCode.internalError, "internal error", false);
    await session.report(error);
  }
}

async function guarded(session: Session, hook: () => unknown): Promise<void> {
  try {
    await hook();
  } catch (error) {
    await fail(session, error);
  }
}
