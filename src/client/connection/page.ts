/** What a page is told of its network and of its own life. */
export type PageEvent = "online" | "offline" | "pagehide" | "pageshow";

/** What is used of a page, or of a worker. */
interface EventSource {
  readonly addEventListener?: (type: string, listener: () => void) => void;
  readonly removeEventListener?: (type: string, listener: () => void) => void;
}

/** Reacts to the page, where there is one, until what it returns is called. */
export function watchPage(reactions: Readonly<Record<PageEvent, () => void>>): () => void {
  // Node has none of it.
  const page = globalThis as EventSource;
  const all = Object.entries(reactions);
  for (const [event, react] of all) page.addEventListener?.(event, react);
  return () => {
    for (const [event, react] of all) page.removeEventListener?.(event, react);
  };
}
