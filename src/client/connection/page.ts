/** What happens to a page: to its network, and to itself. */
export interface PageEvent {
  readonly type: "online" | "offline" | "pagehide" | "pageshow";
}

const types: readonly PageEvent["type"][] = ["online", "offline", "pagehide", "pageshow"];

/** What is used of a page, or of a worker. */
interface EventSource {
  readonly addEventListener?: (type: string, listener: (event: PageEvent) => void) => void;
  readonly removeEventListener?: (type: string, listener: (event: PageEvent) => void) => void;
}

/** Calls `listener` with each event of the page, where there is one, until the function that it returns is called. */
export function watchPage(listener: (event: PageEvent) => void): () => void {
  // Node has none of it.
  const page = globalThis as EventSource;
  for (const type of types) page.addEventListener?.(type, listener);
  return () => {
    for (const type of types) page.removeEventListener?.(type, listener);
  };
}
