import { type Connection, connectionOf } from "../connection/connection.js";
import { isThenable } from "../connection/inbox.js";
import { type Span, trace, traces } from "../diagnostics.js";
import { asErrorOf, type CloseInfo, ConnectionError, MessageError } from "../errors.js";
import type { Member, SessionDialect } from "../protocol/dialect.js";
import type { MemberConfig, MemberHooks } from "../room/memberships.js";
import type { Registry } from "../room/registry.js";
import { CloseCode } from "../wire/closeCodes.js";
import type { RoomPath } from "../wire/path.js";
import type { Application } from "./application.js";
import { CredentialRefresh, type Reauthorize } from "./credentialRefresh.js";
import type { AnyHandler, HandlerContext } from "./handler.js";
import { closedForJSON, type Reader, type ReadSession, type WarningKind } from "./reader.js";
import { userId } from "./user.js";

/** What the sessions of one route have in common. */
export interface SessionConfig {
  /** The pattern of the route. */
  readonly route: string;
  readonly registry: Registry;
  readonly reader: Reader;
  readonly member: MemberConfig;
  /** Asks scopes and handler again. */
  readonly reauthorize: Reauthorize;
  /** Called when a connection is in its rooms, before any hook. */
  readonly onEntered: (member: Member) => void;
  /** Called when a connection has ended, and its last hook has finished. */
  readonly onLeft: (member: Member, info: CloseInfo) => void;
  /** Receives errors of hooks. `thrower` is the method, its class and route, for the log. */
  readonly report: (error: Error, member: Member, thrower: string) => void;
  /** The class and its route, as errors and warnings name them. */
  readonly owner: string;
  /** Logs a warning, once for its kind. */
  readonly warn: (kind: WarningKind, message: () => string) => void;
}

/** A warning about a value that was thrown and is no Error. */
export function noErrorWarning({ message }: Error): string {
  return `${message}, which is no Error; throw an Error, whose stack says where`;
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

  async report(thrown: unknown, method: string): Promise<void> {
    await this.callOnError(this.reportToApp(thrown, method));
  }

  /** Never rejects. */
  async callOnError(error: Error): Promise<void> {
    try {
      await this.call("onError", [error]);
    } catch (second) {
      this.reportToApp(second, "onError");
    }
  }

  warn(kind: WarningKind, what: string): void {
    this.config.warn(kind, () => `${this.config.owner} ${what}`);
  }

  /** Reports what a method threw to the app alone, and returns it as an error. */
  reportToApp(thrown: unknown, method: string): Error {
    const { owner, report, warn } = this.config;
    const thrower = `${method} of ${owner}`;
    const error = asErrorOf(thrower, thrown);
    if (error !== thrown) warn("no Error", () => noErrorWarning(error));
    report(error, this.member, thrower);
    return error;
  }
}

/** The life of one connection, from its opening to its last hook. Resolves when all of it is over; never rejects. */
export async function runSession(session: Session): Promise<void> {
  const { handler, context, member, config } = session;
  const { registry, reader } = config;
  const { dialect } = member;
  if (dialect.session !== undefined) startDialect(dialect.session, session);
  const past = registry.memberships.enter(
    member,
    userId(context.user),
    config.member,
    dialect.joining,
    memberHooksOf(session),
  );
  config.onEntered(member);
  let method = "onConnect";
  try {
    if (past !== undefined) await untilDetached(session, past);
    if (dialect.joining !== undefined) watchPresence(session);
    if (handler.onDrain !== undefined)
      member.whenDrained(() => void guarded(session, "onDrain", () => session.call("onDrain", [])));
    const greeted = session.call("onConnect", []);
    if (greeted instanceof Object) await untilDetached(session, greeted, method);
    method = reader.method;
    if (reader.method !== "serve") await member.each(reader.read, session);
    else if (!member.isDetached) await untilDetached(session, serve(session), method);
    await untilDetached(session, reportFailure(session));
    member.finish();
  } catch (error) {
    await untilDetached(session, fail(session, error, method));
  } finally {
    member.detachHandler((error) => void session.report(error, method));
    context.leftRooms = registry.memberships.exit(member);
    dialect.session?.end();
  }
  const info = await member.ended;
  const onClose = () => inTime(session, "onClose", session.call("onClose", [info.code, info.reason]));
  await guarded(session, "onClose", onClose);
  config.onLeft(member, info);
}

function startDialect(dialect: SessionDialect, session: Session): void {
  const { context, member, config } = session;
  const onError = (error: unknown) => {
    member.close(CloseCode.internalError, "internal error", false);
    session.reportToApp(error, "authorize");
  };
  const refresh = new CredentialRefresh({ session, reauthorize: config.reauthorize, onError });
  dialect.start({
    ...{ member, onError, clock: config.registry.clock, userId: userId(context.user) },
    onWatch: () => watchPresence(session),
    onRefresh: (token) => refresh.refreshWith(token),
  });
}

/** What the handler says of rooms beside its home; `undefined` for most, which say nothing. */
function memberHooksOf(session: Session): MemberHooks | undefined {
  const { handler, config } = session;
  const { authorizeJoin, onRoomJoin, onRoomLeave } = handler;
  if (authorizeJoin === undefined && onRoomJoin === undefined && onRoomLeave === undefined) return undefined;
  const roomAt = (path: RoomPath) => config.registry.room(path);
  return {
    authorizeJoin: authorizeJoin && ((path) => authorizeJoin.call(handler, roomAt(path))),
    onJoined: (path) => void guarded(session, "onRoomJoin", () => onRoomJoin?.call(handler, roomAt(path))),
    onLeft: (path, reason) =>
      void guarded(session, "onRoomLeave", () => onRoomLeave?.call(handler, roomAt(path), reason)),
  };
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
async function untilDetached(session: Session, work: unknown, hook?: string): Promise<void> {
  const { member } = session;
  const working = Promise.resolve(work);
  let isBusy = true;
  const onDone = () => {
    isBusy = false;
  };
  working.then(onDone, onDone);
  working.catch((error) => member.onLateError(error));
  await Promise.race([working, member.untilDetached]);
  if (isBusy && hook !== undefined) warnOfBusy(session, hook);
}

/** Warns of a hook that takes longer than closeMs, and waits for it anyway. */
async function inTime(session: Session, hook: string, work: unknown): Promise<void> {
  if (!isThenable(work)) return;
  const { config, member } = session;
  const timer = config.registry.clock.setTimeout(() => warnOfBusy(session, hook), member.limits.closeMs);
  try {
    await work;
  } finally {
    timer.cancel();
  }
}

function warnOfBusy({ config, member }: Session, hook: string): void {
  const { owner, warn } = config;
  const { closeMs } = member.limits;
  warn(`busy ${hook}`, () => {
    return (
      `${hook} of ${owner} was still busy ${closeMs} ms (closeMs) after its connection had ended; ` +
      "end it when this.signal is aborted"
    );
  });
}

/** A connection that failed is reported to the method that reads, while it is still in its rooms. */
async function reportFailure(session: Session): Promise<void> {
  const { member, config } = session;
  const { closeInfo, isDetached } = member;
  if (closeInfo === undefined || closeInfo.isClean || isDetached) return;
  await config.reader.failed(session, new ConnectionError(closeInfo));
}

/** Ends the connection for what a hook threw; no other connection notices. Never rejects. */
async function fail(session: Session, error: unknown, method: string): Promise<void> {
  const { member } = session;
  // Reading on after the end, or waiting for a reply, is how a handler learns of it, not a failure.
  if (error instanceof ConnectionError && member.closeInfo !== undefined && !member.isOpen) return;
  if (error instanceof MessageError) {
    // A read whose error was not caught: the client's mistake, for the client to know, and not worth a line in our log.
    member.close(CloseCode.invalidPayload, "the message is not valid", false);
    if (error.code === "ERR_BAD_JSON" && session.handler.onError === undefined) {
      session.warn("not JSON", `${closedForJSON}, catch what readJSON() rejects with`);
    }
    await session.callOnError(error);
  } else {
    // The client learns that it was our fault, and nothing more.
    member.close(CloseCode.internalError, "internal error", false);
    await session.report(error, method);
  }
}

async function guarded(session: Session, name: string, hook: () => unknown): Promise<void> {
  try {
    await hook();
  } catch (error) {
    await fail(session, error, name);
  }
}
