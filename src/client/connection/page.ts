/** An event of a page or a worker: its network, or its life cycle. */
export interface PageEvent {
  readonly type: "online" | "offline" | "pagehide" | "pageshow";
}

const types: readonly PageEvent["type"][] = ["online", "offline", "pagehide", "pageshow"];

/** The part of the global object that is used; Node has none of it. */
interface EventSource {
  readonly addEventListener?: (type: string, listener: (event: PageEvent) => void) => void;
  readonly removeEventListener?: (type: string, listener: (event: PageEvent) => void) => void;
}

/** Calls `listener` with each event of the page. Returns a function that removes the listener. */
export function watchPage(listener: (event: PageEvent) => void): () => void {
  const page = globalThis as EventSource;
  for (const type of types) page.addEventListener?.(type, listener);
  return () => {
    for (const type of types) page.removeEventListener?.(type, listener);
  };
}
