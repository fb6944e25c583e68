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
  /** Whether this node has connections of a user. */
  readonly hasOwn: (key: string) => boolean;
  /** Whether it is known what the other nodes have. */
  readonly isReady: () => boolean;
  /** The nodes that answer in time. */
  readonly answering: () => readonly string[];
  readonly sendClaim: (round: number, keys: readonly (readonly [key: string, isReported: boolean])[]) => void;
  /** There are flags to send. */
  readonly onFlags: () => void;
  /** This node reported a leave in place of a lost node, which may not know when it comes back. */
  readonly onLeftFor: (node: string, key: string) => void;
  /** The room is closed here, and nothing is left to report. */
  readonly onDone: () => void;
}

/** Milliseconds that a closed room waits for another node to take over its reports. */
const takeoverMs = 4 * answersMs;

/**
 * Which node reports the joins and leaves of a room: for each user exactly one.
 *
 * A node that sees a new user claims it, and waits until every other node that has the room open has answered. A node that
 * reports the user says so; of nodes that claim the same user the lowest id wins. The winner first tells the others, then
 * reports the join; later it tells them of the leave, then reports that. When it is lost, or closes the room, the others
 * claim its users the same way, without another join.
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

  /** Whether other nodes have the room open and go on reporting. */
  get hasHeirs(): boolean {
    return [...this.#deps.others.values()].some(({ isClosing }) => !isClosing);
  }

  /** A user came to this node. */
  arrive(key: string): void {
    this.#user(key).isOwn = true;
    this.#review(key);
  }

  /** A user is now in the room, as this node sees it, or no longer. */
  setPresent(key: string, isPresent: boolean, report: PresenceReport): void {
    Object.assign(this.#user(key), { isPresent, report });
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

  /** All that is known of a node was replaced. */
  onReplaced(node: string, before: NodePresence | undefined, after: NodePresence | undefined, isLost: boolean): void {
    for (const key of before?.reporting ?? []) {
      const user = this.#users.get(key);
      if (user === undefined || after?.reporting.has(key) === true) continue;
      // A node that has the room open and no longer reports a user has reported the leave.
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

  /** Another node reported the leaves of these users, for it took this one for lost. */
  onLeftElsewhere(keys: ReadonlySet<string>): void {
    for (const key of keys) {
      const user = this.#users.get(key);
      if (user?.state !== "reporting") continue;
      this.#deps.own.reporting.delete(key);
      this.#flag(key, "left");
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

  /** The flags have been sent, or could not be. */
  onSent(flags: readonly (readonly [key: string, flag: ReportFlag])[], isSent: boolean): void {
    for (const [key, flag] of flags) {
      const user = this.#users.get(key);
      if (user?.state === "announcing" && flag === "reports") this.#onAnnounced(key, user, isSent);
      if (user?.state === "leaving" && flag === "left") this.#onLeft(key, user, isSent);
    }
    this.#checkDone();
  }

  /** The room is closed here; {@link RoomReportsDeps.onDone} follows. */
  close(): void {
    this.#isClosing = true;
    // Claims are for nodes that keep the room open.
    this.#claims.cancel();
    for (const user of this.#users.values()) {
      user.isOwn = false;
      if (user.state === "claiming") user.state = "idle";
    }
    this.#takeover = this.#deps.clock.setTimeout(() => this.end(true), takeoverMs);
    this.reviewAll();
  }

  /** The room is open here again before {@link close} was done. */
  reopen(): void {
    this.#isClosing = false;
    for (const user of this.#users.values()) user.isGivenUp = false;
    this.#takeover?.cancel();
  }

  /** Nothing is waited for any more. @param reports Whether this node reports the leaves that no other node can. */
  end(reports: boolean): void {
    const users = [...this.#users.values()];
    this.#claims.cancel();
    this.#retry?.cancel();
    this.#users.clear();
    const isOurs = ({ state, isGivenUp }: UserReport) => isGivenUp || !["idle", "claiming"].includes(state);
    for (const user of users) if (reports && user.isReported && isOurs(user)) user.report?.("leave");
    this.#checkDone();
  }

  /** The leave was reported: only a user who is connected here joins again, and not one who may return. */
  #forgetJoin(key: string, user: UserReport): void {
    user.isReported = false;
    user.isOwn = this.#deps.hasOwn(key);
  }

  #user(key: string): UserReport {
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
    // Even if that node is lost before it answers a claim.
    else if (user !== undefined && user.state !== "leaving" && reporter !== undefined) user.isReported = true;
  }

  #reviewIdle(key: string, user: UserReport, reporter: string | undefined): void {
    if (reporter !== undefined) {
      Object.assign(user, { isReported: true, lostNode: undefined });
      // Whoever reports the user, it is no longer this node.
      if (this.#isClosing) this.#users.delete(key);
    } else if (this.#isClosing) {
      this.#reviewClosing(key, user);
    } else if (!user.isPresent && !user.isReported) {
      if (!this.#deps.hasOwn(key)) this.#users.delete(key);
    } else if (user.isReported || (user.isPresent && user.isOwn)) {
      this.#claimSoon(key);
    }
  }

  /** The other nodes claim what this one has given up; without any, the leave is this one's to report. */
  #reviewClosing(key: string, user: UserReport): void {
    if (user.isReported && user.isGivenUp && this.hasHeirs) return;
    this.#users.delete(key);
    const isLast = !this.hasHeirs && [...this.#deps.others.keys()].every((node) => this.#deps.id < node);
    if (user.isReported && (user.isGivenUp || (user.lostNode !== undefined && isLast))) user.report?.("leave");
  }

  #reviewReporting(key: string, user: UserReport, reporter: string | undefined): void {
    const isYielding = reporter !== undefined && reporter < this.#deps.id;
    if (isYielding || (this.#isClosing && user.isPresent && this.hasHeirs)) {
      user.isGivenUp = !isYielding;
      this.#giveUp(key, user, "resigned", "idle");
    } else if ((!user.isPresent || this.#isClosing) && this.#deps.isReady()) {
      this.#giveUp(key, user, "left", "leaving");
    }
  }

  #giveUp(key: string, user: UserReport, flag: ReportFlag, state: UserReport["state"]): void {
    this.#deps.own.reporting.delete(key);
    user.state = state;
    this.#flag(key, flag);
    if (state === "idle") this.#review(key);
  }

  #flag(key: string, flag: ReportFlag): void {
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
    // No other node can have an anonymous connection of this one.
    const isAlone = (key: string) => !isUserKey(key) && this.#users.get(key)?.isOwn === true;
    const shared = keys.filter((key) => !isAlone(key));
    const nodes = this.#deps.answering().filter((node) => this.#deps.others.has(node));
    this.#claimFrom(keys.filter(isAlone), []);
    this.#claimFrom(shared, nodes);
  }

  #claimFrom(keys: readonly string[], nodes: readonly string[]): void {
    if (keys.length === 0) return;
    for (const key of keys) this.#user(key).state = "claiming";
    const round = this.#claims.begin(keys, nodes);
    if (round === undefined) return;
    const claimed = keys.map((key) => [key, this.#user(key).isReported] as const);
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
    this.#flag(key, "reports");
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

  /** A claim that was lost, or a flag that was not sent, may leave a user whom no node reports. */
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
