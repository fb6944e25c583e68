import type { Clock } from "../../connection/clock.js";
import type { DialectSession, Member } from "../../protocol/dialect.js";
import type { RoomState } from "../../room/roomState.js";
import { CloseCode } from "../../wire/closeCodes.js";
import { userId } from "../user.js";
import { CredentialRefresh, type RefreshingSession } from "./credentialRefresh.js";

/** The session of a {@link DialectLink}. */
export interface LinkedSession extends RefreshingSession {
  /** Reports a thrown value to the app. */
  reportToApp(thrown: unknown, method: string): Error;
}

/** What the dialect of a connection uses of its session. */
export class DialectLink implements DialectSession {
  readonly #session: LinkedSession;
  /** Made when the client renews its token for the first time. */
  #refresh: CredentialRefresh | undefined;

  constructor(session: LinkedSession) {
    this.#session = session;
  }

  get member(): Member {
    return this.#session.member;
  }

  get clock(): Clock {
    return this.#session.member.clock;
  }

  get userId(): string | undefined {
    return userId(this.#session.context.user);
  }

  watchedVersion(): number | undefined {
    return presenceOf(this.#session)?.watchedVersion(this.#session.member);
  }

  onWatch(): void {
    watchPresence(this.#session);
  }

  onRefresh(token: string): void {
    this.#refresh ??= new CredentialRefresh(this.#session, (error) => this.onError(error));
    this.#refresh.refreshWith(token);
  }

  onError(error: unknown): void {
    this.#session.member.close(CloseCode.internalError, "internal error", false);
    this.#session.reportToApp(error, "authorize");
  }
}

/** Sends the client the presence of its home, and then each change, if the home has presence. */
export function watchPresence(session: RefreshingSession): void {
  presenceOf(session)?.watch(session.member);
}

/** The presence of the home; `undefined` if it has none, or the client is not in it. */
function presenceOf({ member, config }: RefreshingSession): RoomState["presence"] {
  const room = config.registry.roomState(member.home);
  return room?.members.has(member) ? room.presence : undefined;
}
