import type { Params } from "./data/calls.js";
import { Store } from "./data/store.js";

/** A page of the admin, as the fragment of the URL names it: `#/connections?user=ann`. */
export interface Place {
  readonly view: string;
  readonly params: Readonly<Record<string, string>>;
  /** Counts the visits: a change of the filter is none. */
  readonly visit: number;
}

export const place = new Store(placeOf(location.hash, 0));

addEventListener("hashchange", () => {
  place.set(placeOf(location.hash, place.value.visit + 1));
});

export function hrefOf(view: string, params: Params = {}): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) {
    if (value !== undefined && value !== "") query.set(key, String(value));
  }
  return query.size === 0 ? `#/${view}` : `#/${view}?${query}`;
}

/** Changes the parameters of this page, without an entry in the history of the browser. */
export function replaceParams(params: Readonly<Record<string, string>>): void {
  const { view, visit } = place.value;
  history.replaceState(null, "", hrefOf(view, params));
  place.set({ view, params, visit });
}

function placeOf(hash: string, visit: number): Place {
  const [path = "", query = ""] = hash.replace(/^#\//, "").split(/\?(.*)/s);
  return { view: path || "overview", params: Object.fromEntries(new URLSearchParams(query)), visit };
}
