import type { PresenceReport } from "../../backplane/backplane.js";
import { isUserKey } from "../../backplane/presenceKey.js";
import type { Clock, Timer } from "../../connection/clock.js";
import type { ClaimAnswer, NodePresence, ReportFlag } from "./nodePresence.js";
import { answersMs } from "./presenceQuestion.js";
import { type ReportClaim, ReportClaims } from "./reportClaim.js";
import { newUserReport, type UserReport } from "./userReport.js";

export interface RoomReportsDeps {
  readonly id: string;
  readonly clock: Clock;
  readonly own: NodePresence;
  readonly others: ReadonlyMap<string, NodePresence>;
  /** Returns true if a user has connections to this node. */
  readonly hasOwn: (key: string) => boolean;
  /** Returns true if the presence of the other nodes is known. */
  readonly isReady: () => boolean;
  /** Returns the nodes whose heartbeats arrive in time. */
  readonly answering: () => readonly string[];
  readonly sendClaim: (round: number, keys: readonly (readonly [key: string, isReported: boolean])[]) => void;
  /** Called when there are flags to send. */
  readonly onFlags: () => void;
  /** Called when this node reported a leave in place of a lost node, which must be notified if it returns. */
  readonly onLeftFor: (node: string, key: string) => void;
  /** Called when the room is closed here, and no report is left to make. */
  readonly onDone: () => void;
}

/** Milliseconds that a closed room waits for another node to take over its reports. */
const takeoverMs = 4 * answersMs;

/**
 * Decides which node reports the joins and leaves of a room: exactly one node for each user.
 *
 * A node that sees a new user claims it, and waits for the answers of all other nodes with the room open. A node that
 * reports the user answers so. If several nodes claim a user, the one with the lowest id wins. The winner notifies the
 * other nodes, then reports the join; later it notifies them of the leave, then reports it. If it is lost or closes the
 * room, the others claim its users in the same way, without another join.
 */
export class RoomReports {
  readonly #deps: RoomReportsDeps;
  readonly #users = new Map<string, UserReport>();
  readonly #claims: ReportClaims;
  #flags = new Map<string, ReportFlag>();
  #toClaim = new Set<string>();
  #retry: Timer | undefined;
  #takeover: Timer | undefined;
  #isClosing = false;

  constructor(deps: RoomReportsDeps) {
    this.#deps = deps;
    this.#claims = new ReportClaims(deps.clock, (claim) => this.#onDecided(claim));
  }

  get hasFlags(): boolean {
    return this.#flags.size > 0;
  }

  /** True if other nodes have the room open, so that they can take over the reports. */
  get hasSuccessors(): boolean {
    return [...this.#deps.others.values()].some(({ isClosing }) => !isClosing);
  }

  /** A user has connected to this node. */
  onArrived(key: string): void {
    this.#userOf(key).isOwn = true;
    this.#review(key);
  }

  /** Sets whether a user is present, as this node sees it. */
  setPresent(key: string, isPresent: boolean, report: PresenceReport): void {
    Object.assign(this.#userOf(key), { isPresent, report });
    this.#review(key);
  }

  reviewAll(): void {
    for (const key of [...this.#users.keys()]) this.#review(key);
    this.#checkDone();
  }

  /** Another node has changed which users it reports. */
  onFlags(node: string, changes: ReadonlyMap<string, ReportFlag>): void {
    for (const [key, flag] of changes) {
      const user = this.#users.get(key);
      if (user !== undefined && flag === "left" && this.#reporter(key, node) === undefined) this.#forgetJoin(key, user);
      this.#review(key);
    }
    if (this.#isClosing) this.reviewAll();
  }

  /** The known presence of a node was replaced; `after` is `undefined` if the room is not open there. */
  onReplaced(node: string, before: NodePresence | undefined, after: NodePresence | undefined, isLost: boolean): void {
    for (const key of before?.reporting ?? []) {
      const user = this.#users.get(key);
      if (user === undefined || after?.reporting.has(key) === true) continue;
      // A node that has the room open, and no longer reports a user, has reported the leave.
      if (after === undefined) user.lostNode = isLost ? node : undefined;
      else if (this.#reporter(key) === undefined) this.#forgetJoin(key, user);
    }
    if (after === undefined) this.#claims.forget(node);
    this.reviewAll();
  }

  /** Answers a claim of another node. */
  answer(node: string, keys: ReadonlyMap<string, boolean>): readonly (readonly [key: string, answer: ClaimAnswer])[] {
    return [...keys].flatMap(([key, isReported]) => {
      const answer = this.#answerFor(node, key, isReported);
      return answer === undefined ? [] : [[key, answer] as const];
    });
  }

  onAnswer(node: string, round: number, answers: ReadonlyMap<string, ClaimAnswer>): void {
    this.#claims.onAnswer(node, round, answers, node < this.#deps.id);
  }

  /** Another node reported the leaves of these users, since it considered this node lost. */
  onLeftElsewhere(keys: ReadonlySet<string>): void {
    for (const key of keys) {
      const user = this.#users.get(key);
      if (user?.state !== "reporting") continue;
      this.#deps.own.reporting.delete(key);
      this.#setFlag(key, "left");
      user.state = "idle";
      this.#forgetJoin(key, user);
      this.#review(key);
    }
  }

  takeFlags(): readonly (readonly [key: string, flag: ReportFlag])[] {
    const flags = [...this.#flags];
    this.#flags = new Map();
    return flags;
  }

  /** @param isSent False if the flags could not be sent. */
  onSent(flags: readonly (readonly [key: string, flag: ReportFlag])[], isSent: boolean): void {
    for (const [key, flag] of flags) {
      const user = this.#users.get(key);
      if (user?.state === "announcing" && flag === "reports") this.#onAnnounced(key, user, isSent);
      if (user?.state === "leaving" && flag === "left") this.#onLeft(key, user, isSent);
    }
    this.#checkDone();
  }

  /** The room is closed on this node. {@link RoomReportsDeps.onDone} is called later. */
  close(): void {
    this.#isClosing = true;
    // Only nodes with the room open may claim users.
    this.#claims.cancel();
    for (const user of this.#users.values()) {
      user.isOwn = false;
      if (user.state === "claiming") user.state = "idle";
    }
    this.#takeover = this.#deps.clock.setTimeout(() => this.end(true), takeoverMs);
    this.reviewAll();
  }

  /** The room is open on this node again, before {@link close} has finished. */
  reopen(): void {
    this.#isClosing = false;
    for (const user of this.#users.values()) user.hasResigned = false;
    this.#takeover?.cancel();
  }

  /** Ends all claims. @param canReport True if this node reports the remaining leaves, which no other node can. */
  end(canReport: boolean): void {
    const users = [...this.#users.values()];
    this.#claims.cancel();
    this.#retry?.cancel();
    this.#users.clear();
    const isOurs = ({ state, hasResigned }: UserReport) => hasResigned || !["idle", "claiming"].includes(state);
    for (const user of users) if (canReport && user.isReported && isOurs(user)) user.report?.("leave");
    this.#checkDone();
  }

  /** The leave was reported. A new join needs a connection to this node: a user who may return does not count. */
  #forgetJoin(key: string, user: UserReport): void {
    user.isReported = false;
    user.isOwn = this.#deps.hasOwn(key);
  }

  #userOf(key: string): UserReport {
    const known = this.#users.get(key);
    if (known !== undefined) return known;
    const user = newUserReport();
    this.#users.set(key, user);
    return user;
  }

  /** The other node that reports a user. */
  #reporter(key: string, except?: string): string | undefined {
    for (const [node, { reporting }] of this.#deps.others) if (node !== except && reporting.has(key)) return node;
    return undefined;
  }

  #review(key: string): void {
    const user = this.#users.get(key);
    const reporter = this.#reporter(key);
    if (user?.state === "idle") this.#reviewIdle(key, user, reporter);
    else if (user?.state === "reporting") this.#reviewReporting(key, user, reporter);
    // Noted now, since that node may be lost before it answers a claim.
    else if (user !== undefined && user.state !== "leaving" && reporter !== undefined) user.isReported = true;
  }

  #reviewIdle(key: string, user: UserReport, reporter: string | undefined): void {
    if (reporter !== undefined) {
      Object.assign(user, { isReported: true, lostNode: undefined });
      // Another node reports the user, so this one has finished.
      if (this.#isClosing) this.#users.delete(key);
    } else if (this.#isClosing) {
      this.#reviewClosing(key, user);
    } else if (!user.isPresent && !user.isReported) {
      if (!this.#deps.hasOwn(key)) this.#users.delete(key);
    } else if (user.isReported || (user.isPresent && user.isOwn)) {
      this.#claimSoon(key);
    }
  }

  /** Waits for a successor to claim a user from whom this node resigned. Without a successor it reports the leave. */
  #reviewClosing(key: string, user: UserReport): void {
    if (user.isReported && user.hasResigned && this.hasSuccessors) return;
    this.#users.delete(key);
    const isLast = !this.hasSuccessors && [...this.#deps.others.keys()].every((node) => this.#deps.id < node);
    if (user.isReported && (user.hasResigned || (user.lostNode !== undefined && isLast))) user.report?.("leave");
  }

  #reviewReporting(key: string, user: UserReport, reporter: string | undefined): void {
    const isYielding = reporter !== undefined && reporter < this.#deps.id;
    if (isYielding || (this.#isClosing && user.isPresent && this.hasSuccessors)) {
      user.hasResigned = !isYielding;
      this.#stopReporting(key, user, "resigned", "idle");
    } else if ((!user.isPresent || this.#isClosing) && this.#deps.isReady()) {
      this.#stopReporting(key, user, "left", "leaving");
    }
  }

  #stopReporting(key: string, user: UserReport, flag: ReportFlag, state: UserReport["state"]): void {
    this.#deps.own.reporting.delete(key);
    user.state = state;
    this.#setFlag(key, flag);
    if (state === "idle") this.#review(key);
  }

  #setFlag(key: string, flag: ReportFlag): void {
    this.#flags.set(key, flag);
    this.#deps.onFlags();
  }

  #claimSoon(key: string): void {
    if (!this.#deps.isReady()) return;
    if (this.#toClaim.size === 0) queueMicrotask(() => this.#claim());
    this.#toClaim.add(key);
  }

  #claim(): void {
    const keys = [...this.#toClaim].filter((key) => this.#users.get(key)?.state === "idle");
    this.#toClaim = new Set();
    // An anonymous connection of this node cannot be present on another one.
    const isLocal = (key: string) => !isUserKey(key) && this.#users.get(key)?.isOwn === true;
    const shared = keys.filter((key) => !isLocal(key));
    const nodes = this.#deps.answering().filter((node) => this.#deps.others.has(node));
    this.#claimFrom(keys.filter(isLocal), []);
    this.#claimFrom(shared, nodes);
  }

  #claimFrom(keys: readonly string[], nodes: readonly string[]): void {
    if (keys.length === 0) return;
    for (const key of keys) this.#userOf(key).state = "claiming";
    const round = this.#claims.begin(keys, nodes);
    if (round === undefined) return;
    const claimed = keys.map((key) => [key, this.#userOf(key).isReported] as const);
    this.#deps.sendClaim(round, claimed);
  }

  #onDecided(claim: ReportClaim): void {
    for (const key of claim.keys) {
      const user = this.#users.get(key);
      if (user?.state !== "claiming") continue;
      user.state = "idle";
      user.isReported ||= claim.isReported(key);
      if (claim.isLost(key) || this.#reporter(key) !== undefined || !this.#deps.isReady()) this.#retryLater();
      else if (user.isPresent || user.isReported) this.#announce(key, user);
      else this.#review(key);
    }
    this.#checkDone();
  }

  #announce(key: string, user: UserReport): void {
    user.state = "announcing";
    this.#deps.own.reporting.add(key);
    this.#setFlag(key, "reports");
  }

  #onAnnounced(key: string, user: UserReport, isSent: boolean): void {
    if (!isSent) {
      this.#deps.own.reporting.delete(key);
      user.state = "idle";
      this.#retryLater();
      return;
    }
    user.state = "reporting";
    if (!user.isReported && user.isPresent) {
      user.isReported = true;
      user.report?.("join");
    }
    this.#review(key);
  }

  #onLeft(key: string, user: UserReport, isSent: boolean): void {
    if (!isSent) {
      this.#deps.own.reporting.add(key);
      user.state = "reporting";
      this.#retryLater();
      return;
    }
    const { isReported, lostNode } = user;
    Object.assign(user, { state: "idle", lostNode: undefined });
    this.#forgetJoin(key, user);
    if (lostNode !== undefined) this.#deps.onLeftFor(lostNode, key);
    if (isReported) user.report?.("leave");
    this.#review(key);
  }

  /** Reviews all users later: after a lost claim or an unsent flag it is possible that no node reports a user. */
  #retryLater(): void {
    this.#retry ??= this.#deps.clock.setTimeout(() => {
      this.#retry = undefined;
      this.reviewAll();
    }, answersMs);
  }

  #answerFor(node: string, key: string, isReported: boolean): ClaimAnswer | undefined {
    const user = this.#users.get(key);
    const reporter = this.#reporter(key, node);
    if (reporter !== undefined) return "reports";
    if (user === undefined) return undefined;
    if (user.state === "claiming") {
      this.#claims.onRival(key, isReported, node < this.#deps.id);
      return user.isReported ? "claims reported" : "claims";
    }
    if (user.state !== "idle") return "reports";
    return user.isReported ? "reported" : undefined;
  }

  #checkDone(): void {
    if (!this.#isClosing || this.#users.size > 0 || this.hasFlags) return;
    this.#takeover?.cancel();
    this.#deps.onDone();
  }
}
