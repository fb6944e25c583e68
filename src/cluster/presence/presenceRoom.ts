import type { PresenceEntry, PresenceUpdate } from "../../backplane/backplane.js";
import type { NodePresence, ReportFlag } from "./nodePresence.js";
import type { ReceivedChange } from "./presenceEntries.js";
import type { PresenceQuestion } from "./presenceQuestion.js";
import { RoomReports, type RoomReportsDeps } from "./roomReports.js";

/** A change of the presence of this node, in the form that is sent. */
export interface OwnChange {
  readonly seq: number;
  readonly entries: readonly (readonly [key: string, entry: PresenceEntry | null])[];
  readonly reporting: readonly (readonly [key: string, flag: ReportFlag])[];
  readonly isClosing: boolean;
}

/** A room with presence that is open on this node: the presence of this node and of the others. */
export class PresenceRoom {
  readonly own: NodePresence;
  readonly others = new Map<string, NodePresence>();
  readonly reports: RoomReports;
  /** True if the other nodes know that the room is open here. */
  isAnnounced = false;
  /** Set until the presence of the other nodes is known. */
  question: PresenceQuestion | undefined;
  /** The changes of this node that are not sent yet. */
  readonly #changes = new Map<string, PresenceEntry | undefined>();

  constructor(
    seq: number,
    question: PresenceQuestion | undefined,
    deps: Omit<RoomReportsDeps, "own" | "others" | "hasOwn">,
  ) {
    this.own = { seq, entries: new Map(), reporting: new Set(), isClosing: false };
    this.question = question;
    const { own, others } = this;
    this.reports = new RoomReports({ ...deps, own, others, hasOwn: (key) => this.#hasOwn(key) });
  }

  get hasChanges(): boolean {
    return this.#changes.size > 0 || this.reports.hasFlags;
  }

  /** Sets the entry of a user on this node; `undefined` when the user has no connection here. */
  set(key: string, entry: PresenceEntry | undefined): void {
    this.#changes.set(key, entry);
    if (entry !== undefined) this.reports.onArrived(key);
  }

  /** Applies the changes of this node, and returns them in the form that is sent. */
  takeChange(): OwnChange {
    const { own } = this;
    const entries = [...this.#changes].map(([key, entry]): [string, PresenceEntry | null] => [key, entry ?? null]);
    this.#changes.clear();
    own.seq += 1;
    for (const [key, entry] of entries) {
      if (entry === null) own.entries.delete(key);
      else own.entries.set(key, entry);
    }
    return { seq: own.seq, entries, reporting: this.reports.takeFlags(), isClosing: own.isClosing };
  }

  /** The whole presence of this node, in the form that is sent. */
  get state(): object {
    const { seq, entries, reporting, isClosing } = this.own;
    return { seq, entries: [...entries], reporting: [...reporting], isClosing };
  }

  /** The presence of the other nodes. */
  get updates(): PresenceUpdate[] {
    return [...this.others].flatMap(([node, { entries }]) =>
      [...entries].map(([key, entry]) => ({ node, key, entry })),
    );
  }

  close(): void {
    this.question?.end();
    this.own.isClosing = true;
    this.reports.close();
  }

  /** Opens the room again, before its last reports were made. */
  reopen(): void {
    this.own.isClosing = false;
    this.reports.reopen();
  }

  /** Applies the next change of another node. */
  apply(known: NodePresence, { seq, entries, flags, isClosing }: ReceivedChange): void {
    Object.assign(known, { seq, isClosing });
    for (const [key, flag] of flags) {
      if (flag === "reports") known.reporting.add(key);
      else known.reporting.delete(key);
    }
    for (const [key, entry] of entries) {
      if (entry === undefined) known.entries.delete(key);
      else known.entries.set(key, entry);
    }
  }

  /** Replaces the presence of a node; `undefined` if the room is not open there. Returns the updates for each user. */
  replace(node: string, known: NodePresence | undefined, presence: NodePresence | undefined): PresenceUpdate[] {
    if (presence === undefined) this.others.delete(node);
    else this.others.set(node, presence);
    const removed = [...(known?.entries.keys() ?? [])].filter((key) => presence?.entries.has(key) !== true);
    return [
      ...removed.map((key) => ({ node, key, entry: undefined })),
      ...[...(presence?.entries ?? [])].map(([key, entry]) => ({ node, key, entry })),
    ];
  }

  /** Returns true if a user has connections to this node. */
  #hasOwn(key: string): boolean {
    return this.#changes.has(key) ? this.#changes.get(key) !== undefined : this.own.entries.has(key);
  }
}
