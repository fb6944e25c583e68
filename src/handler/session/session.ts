import { type Connection, connectionOf } from "../../connection/connection.js";
import { type InboxReader, isThenable } from "../../connection/inbox.js";
import { trace, traces } from "../../diagnostics.js";
import { asErrorOf, ConnectionError, isInstance, MessageError } from "../../errors.js";
import type { Member } from "../../protocol/dialect.js";
import type { MemberHooks } from "../../room/memberships.js";
import { CloseCode } from "../../wire/closeCodes.js";
import type { RoomPath } from "../../wire/path.js";
import type { HandlerContext } from "../context.js";
import type { AnyHandler } from "../handler.js";
import { closedForJSON, type HandlerMethod, type ReadSession, type WarningKind } from "../reader.js";
import { userId } from "../user.js";
import { noErrorWarning, type SessionConfig } from "./config.js";
import { DialectLink, watchPresence } from "./dialectLink.js";
import { HandlerSpan } from "./handlerSpan.js";

/** The begin and the end of a session of one kind. */
interface SessionLife {
  /** Called first, before messages are read. Returns a promise if reading has to wait. */
  begin(session: Session): Promise<void> | undefined;
  /** Called when the handler has finished. Resolves when the connection has ended, the last hook included. */
  end(session: Session): Promise<unknown>;
}

/** One connection and its handler. */
export class Session implements ReadSession, InboxReader {
  /** Kept for its spans, once there was one. */
  #connection: Connection | undefined;
  #life: SessionLife = connectionLife;
  #onEnded: (() => void) | undefined;

  constructor(
    readonly handler: AnyHandler,
    readonly context: HandlerContext,
    readonly member: Member,
    readonly config: SessionConfig,
  ) {}

  /** Runs the session. Calls `onEnded` when the last hook has finished. Never throws. */
  run(life: SessionLife, onEnded: () => void): void {
    this.#life = life;
    this.#onEnded = onEnded;
    try {
      const beginning = life.begin(this);
      if (beginning === undefined) this.#read();
      else beginning.then(this.#read.bind(this), this.#onBeginFailed.bind(this));
    } catch (error) {
      this.#onBeginFailed(error);
    }
  }

  /** While the connection is idle, no function waits: the memory of a call would be a third of that of the session. */
  #read(): void {
    const { member, config } = this;
    const { method, read } = config.reader;
    if (method !== "serve") member.readBy(read, this);
    else this.#conclude(member.isDetached ? undefined : untilDetached(this, serve(this), method), method);
  }

  onReadingDone(): void {
    this.#conclude(undefined, this.config.reader.method);
  }

  onReadingFailed(error: unknown): void {
    this.#conclude(Promise.reject(error), this.config.reader.method);
  }

  #onBeginFailed(error: unknown): void {
    this.#conclude(Promise.reject(error), "onConnect");
  }

  /** Ends the session when the handler has finished. `method` is the one that fails if `handling` rejects. */
  #conclude(handling: Promise<void> | undefined, method: string): void {
    concludeHandler(this, handling, method)
      .then(() => this.#life.end(this))
      .catch((error) => this.reportToApp(error, method))
      .then(() => this.#onEnded?.());
  }

  call(method: string, args: readonly unknown[], event?: string): unknown {
    const called: HandlerMethod | undefined = Reflect.get(this.handler, method);
    if (typeof called !== "function") return undefined;
    return traces.handler.hasSubscribers
      ? this.trace(called, method, args, event)
      : Reflect.apply(called, this.handler, args);
  }

  trace(called: HandlerMethod, method: string, args: readonly unknown[], event?: string): unknown {
    const { handler, config } = this;
    this.#connection ??= connectionOf(this.member);
    const begunAt = config.registry.clock.now();
    const span = new HandlerSpan(handler.app, this.#connection, config.route, method, event, begunAt);
    return trace(traces.handler, span, called, handler, args);
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

  warn(kind: WarningKind, text: () => string): void {
    this.config.warn(kind, () => `${this.config.owner} ${text()}`);
  }

  /** Reports a thrown value to the app, not to the handler, and returns it as an `Error`. */
  reportToApp(thrown: unknown, method: string): Error {
    const { owner, report, warn } = this.config;
    const thrower = `${method} of ${owner}`;
    const error = asErrorOf(thrower, thrown);
    if (error !== thrown) warn("no Error", () => noErrorWarning(error));
    // A wrapped value names its thrower itself.
    report(error, this.member, error === thrown ? thrower : undefined);
    return error;
  }
}

/** Runs one connection from its opening to its last hook; then calls `onEnded`. */
export function runSession(session: Session, onEnded: () => void): void {
  session.run(connectionLife, onEnded);
}

/**
 * Runs the handler of a client that sends one message and gets one answer; then calls `onEnded`. The session enters no
 * room, and no hook is called.
 */
export function runExchange(session: Session, onEnded: () => void): void {
  session.run(exchangeLife, onEnded);
}

const connectionLife: SessionLife = { begin: connect, end: disconnect };

const exchangeLife: SessionLife = {
  begin(session) {
    startDialect(session);
    return undefined;
  },
  end: (session) => session.member.ended,
};

async function disconnect(session: Session): Promise<void> {
  const { member, config } = session;
  const info = await member.ended;
  const onClose = () => warnIfLate(session, "onClose", session.call("onClose", [info.code, info.reason]));
  await runGuarded(session, "onClose", onClose);
  config.onLeft(member, info);
}

/** Waits for `handling`, closes the connection, and leaves its rooms. */
async function concludeHandler(session: Session, handling: Promise<void> | undefined, method: string): Promise<void> {
  const { context, member, config } = session;
  try {
    await handling;
    await untilDetached(session, reportFailure(session));
    member.finish();
  } catch (error) {
    await untilDetached(session, fail(session, error, method));
  } finally {
    member.detachHandler((error) => void session.report(error, method));
    context.leftRooms = config.registry.memberships.exit(member);
    member.dialect.session?.end();
  }
}

/** Enters the home, and calls `onConnect`. Returns a promise if one of them takes time. */
function connect(session: Session): Promise<void> | undefined {
  const catchingUp = enterHome(session);
  if (catchingUp === undefined) return greet(session);
  return untilDetached(session, catchingUp).then(() => greet(session));
}

function greet(session: Session): Promise<void> | undefined {
  const { handler, member } = session;
  if (member.dialect.joining !== undefined) watchPresence(session);
  if (handler.onDrain !== undefined) {
    member.whenDrained(() => void runGuarded(session, "onDrain", () => session.call("onDrain", [])));
  }
  const connecting = session.call("onConnect", []);
  return isThenable(connecting) ? untilDetached(session, connecting, "onConnect") : undefined;
}

/**
 * Adds the connection to its home. Returns a promise if the connection has to wait for subscriptions or history.
 *
 * Throws what a getter of the handler or of its user throws. The connection has then opened, but is in no room.
 */
function enterHome(session: Session): Promise<void> | undefined {
  const { context, member, config } = session;
  try {
    startDialect(session);
    const user = userId(context.user);
    const hooks = memberHooksOf(session);
    return config.registry.memberships.enter(member, user, config.member, member.dialect.joining, hooks);
  } finally {
    config.onEntered(member);
  }
}

/** Begins the part of the session that the dialect takes, if it takes one. */
function startDialect(session: Session): void {
  const { session: dialect } = session.member.dialect;
  if (dialect !== undefined) dialect.start(new DialectLink(session));
}

/** The handler's hooks for rooms other than its home; `undefined` if it has none, as most handlers. */
function memberHooksOf(session: Session): MemberHooks | undefined {
  const { handler, config } = session;
  const { authorizeJoin, onRoomJoin, onRoomLeave } = handler;
  if (authorizeJoin === undefined && onRoomJoin === undefined && onRoomLeave === undefined) return undefined;
  const roomAt = (path: RoomPath) => config.registry.room(path);
  return {
    authorizeJoin: authorizeJoin && ((path) => authorizeJoin.call(handler, roomAt(path))),
    onJoined: (path) => void runGuarded(session, "onRoomJoin", () => onRoomJoin?.call(handler, roomAt(path))),
    onLeft: (path, reason) =>
      void runGuarded(session, "onRoomLeave", () => onRoomLeave?.call(handler, roomAt(path), reason)),
  };
}

async function serve(session: Session): Promise<void> {
  const { member } = session;
  try {
    await session.call("serve", []);
  } catch (error) {
    // A read that ended with the connection ends the loop; it is not an error of the handler.
    if (!(isInstance(error, ConnectionError) && member.closeInfo !== undefined)) throw error;
  }
}

/**
 * Waits for `work` of a handler, at most until closeMs after the end of its connection.
 *
 * A handler that hangs must not stay in its rooms. Errors that it throws later are still reported.
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

/** Waits for a hook, and logs a warning if it takes longer than closeMs. */
async function warnIfLate(session: Session, hook: string, work: unknown): Promise<void> {
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

/** Reports a failed connection to the reading method, while the connection is still in its rooms. */
async function reportFailure(session: Session): Promise<void> {
  const { member, config } = session;
  const { closeInfo, isDetached } = member;
  if (closeInfo === undefined || closeInfo.isClean || isDetached) return;
  await config.reader.onFailure(session, () => new ConnectionError(closeInfo));
}

/** Closes the connection because a hook threw. Other connections are not affected. Never rejects. */
async function fail(session: Session, error: unknown, method: string): Promise<void> {
  try {
    await closeFor(session, error, method);
  } catch {
    // A getter of the error or of the handler threw, so it is an error like any other.
    session.member.close(CloseCode.internalError, "internal error", false);
    await session.report(error, method);
  }
}

async function closeFor(session: Session, error: unknown, method: string): Promise<void> {
  const { member } = session;
  // A read or request that ended with the connection is not an error of the handler.
  if (isInstance(error, ConnectionError) && member.closeInfo !== undefined && !member.isOpen) return;
  if (isInstance(error, MessageError)) {
    const isUnseen = error.code === "ERR_BAD_JSON" && session.handler.onError === undefined;
    // A read whose error was not caught. The client made the mistake, so nothing is reported to the app.
    member.close(CloseCode.invalidPayload, "the message is not valid", false);
    if (isUnseen) {
      session.warn("not JSON", () => `${closedForJSON}, catch the error of readJSON()`);
    }
    await session.callOnError(error);
  } else {
    // The client gets a fixed phrase and no details of the error.
    member.close(CloseCode.internalError, "internal error", false);
    await session.report(error, method);
  }
}

/** Runs a hook, and closes the connection if it throws. Never rejects. */
async function runGuarded(session: Session, name: string, hook: () => unknown): Promise<void> {
  try {
    await hook();
  } catch (error) {
    await fail(session, error, name);
  }
}
