import { visible } from "../parts/format.js";
import { Store } from "./store.js";

export interface Announcement {
  readonly text: string;
  /** Different for each, so that the same text is announced again. */
  readonly count: number;
}

export const announcement = new Store<Announcement | undefined>(undefined);

/** Shows the result of an action at the edge of the page, where screen readers announce it. */
export function announce(text: string): void {
  announcement.set({ text: visible(text), count: (announcement.value?.count ?? 0) + 1 });
}
