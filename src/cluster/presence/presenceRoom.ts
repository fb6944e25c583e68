import type { PresenceEntry, PresenceUpdate } from "../../backplane/backplane.js";
import type { NodePresence, ReportFlag } from "./nodePresence.js";
import type { ReceivedChange } from "./presenceEntries.js";
import type { PresenceQuestion } from "./presenceQuestion.js";
import { RoomReports, type RoomReportsDeps } from "./roomReports.js";

/** A change of what this node has, as it is sent. */
export interface OwnChange {
  readonly seq: number;
  readonly entries: readonly (readonly [key: string, entry: PresenceEntry | null])[];
  readonly reporting: readonly (readonly [key: string, flag: ReportFlag])[];
  readonly isClosing: boolean;
}

/** A room with presence that is open on this node: what this one has, and what the others have. */
export class PresenceRoom {
  readonly own: NodePresence;
  readonly others = new Map<string, NodePresence>();
  readonly reports: RoomReports;
  /** Whether the other nodes know that the room is open here. */
  isAnnounced = false;
  /** Until it is known what the other nodes have. */
  question: PresenceQuestion | undefined;
  /** Changes of this node that are not sent yet. */
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

  set(key: string, entry: PresenceEntry | undefined): void {
    this.#changes.set(key, entry);
    if (entry !== undefined) this.reports.arrive(key);
  }

  /** Applies the changes of this node, and returns them as they are sent. */
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

  /** All that this node has, as it is sent. */
  get state(): object {
    const { seq, entries, reporting, isClosing } = this.own;
    return { seq, entries: [...entries], reporting: [...reporting], isClosing };
  }

  /** What the other nodes have. */
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

  /** The room is open again, before its last reports were made. */
  reopen(): void {
    this.own.isClosing = false;
    this.reports.reopen();
  }

  /** Takes the next change of another node. */
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

  /** Replaces what is known of a node; `undefined`: it has not opened the room. Returns what has changed by that. */
  replace(node: string, known: NodePresence | undefined, presence: NodePresence | undefined): PresenceUpdate[] {
    if (presence === undefined) this.others.delete(node);
    else this.others.set(node, presence);
    const removed = [...(known?.entries.keys() ?? [])].filter((key) => presence?.entries.has(key) !== true);
    return [
      ...removed.map((key) => ({ node, key, entry: undefined })),
      ...[...(presence?.entries ?? [])].map(([key, entry]) => ({ node, key, entry })),
    ];
  }

  /** Whether this node has connections of a user. */
  #hasOwn(key: string): boolean {
    return this.#changes.has(key) ? this.#changes.get(key) !== undefined : this.own.entries.has(key);
  }
}
