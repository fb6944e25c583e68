import { EnfiladeError } from "../../errors.js";
import type { Application } from "../../handler/application.js";
import { type PathLimits, pathOfTarget } from "../../wire/path.js";
import { type DiagnosticMessages, subscribeTo } from "./messages.js";
import type { MessageTaps } from "./messageTaps.js";
import { Tap, type TapLimits, type TapListener } from "./tap.js";
import { type TapFilter, TapMatcher } from "./tapFilter.js";

export interface TapsDeps {
  readonly app: Application;
  readonly limits: TapLimits & PathLimits;
  readonly messageTaps: MessageTaps;
  readonly report: (error: unknown) => void;
}

/** Options of {@link App.tap}. */
export interface TapOptions {
  /** Removes the tap when it is aborted. */
  readonly signal?: AbortSignal | undefined;
}

/** The taps of one app. Each subscribes to the messages, and to the diagnostics channels, that its filter needs. */
export class Taps {
  readonly #deps: TapsDeps;
  readonly #subscriptions = new Set<() => void>();

  constructor(deps: TapsDeps) {
    this.#deps = deps;
  }

  add(filter: TapFilter, listener: TapListener, { signal }: TapOptions): () => void {
    const { app, limits, report } = this.#deps;
    const matcher = new TapMatcher(filter, (path) => app.registry.topicOf(path));
    if (typeof listener !== "function") {
      throw new EnfiladeError("ERR_OPTION", `tap takes a filter and a function, got ${typeof listener}`);
    }
    const tap = new Tap(listener, limits, report);
    if (signal?.aborted === true) return () => undefined;
    const unsubscribeAll = this.#subscribe(matcher, tap);
    const unsubscribe = () => {
      signal?.removeEventListener("abort", remove);
      this.#subscriptions.delete(unsubscribe);
      unsubscribeAll();
    };
    const remove = () => {
      unsubscribe();
      tap.end();
    };
    this.#subscriptions.add(unsubscribe);
    signal?.addEventListener("abort", remove);
    return remove;
  }

  /** Ends all subscriptions. Entries that were found before are still delivered. */
  unsubscribe(): void {
    for (const unsubscribe of [...this.#subscriptions]) unsubscribe();
  }

  #subscribe(matcher: TapMatcher, tap: Tap): () => void {
    const { directions } = matcher;
    const subscriptions = [
      ...(directions.has("in") || directions.has("out") ? [this.#onMessages(matcher, tap)] : []),
      ...(directions.has("publish") ? [this.#onPublish(matcher, tap)] : []),
      // These entries have no text to match.
      ...(directions.has("lifecycle") && !matcher.hasText ? this.#onLifecycle(matcher, tap) : []),
    ];
    return () => {
      for (const end of subscriptions) end();
    };
  }

  #onMessages(matcher: TapMatcher, tap: Tap): () => void {
    const { messageTaps } = this.#deps;
    const added = { matcher, tap };
    messageTaps.add(added);
    this.#flagConnections();
    return () => {
      messageTaps.remove(added);
      this.#flagConnections();
    };
  }

  #flagConnections(): void {
    const { app, messageTaps } = this.#deps;
    for (const member of app.registry.members) member.isTapped = messageTaps.watchesConnection(member);
  }

  #onPublish(matcher: TapMatcher, tap: Tap): () => void {
    return this.#on("enfilade:publish", ({ to, kind, data, kept, position }) => {
      if (!matcher.matchesTarget(to) || !matcher.matchesText(data)) return;
      tap.add({ direction: "publish", time: Date.now(), to, kind, data, kept, position });
    });
  }

  #onLifecycle(matcher: TapMatcher, tap: Tap): readonly (() => void)[] {
    const lifecycle = () => ({ direction: "lifecycle", time: Date.now() }) as const;
    return [
      this.#on("enfilade:connection:open", ({ connection }) => {
        if (matcher.matchesConnection(connection)) tap.add({ ...lifecycle(), type: "open", connection });
      }),
      this.#on("enfilade:connection:close", ({ connection, code, reason }) => {
        if (matcher.matchesConnection(connection)) tap.add({ ...lifecycle(), type: "close", connection, code, reason });
      }),
      this.#on("enfilade:refuse", ({ request, status, reason }) => {
        const path = this.#pathOf(request.url);
        if (matcher.matchesPath(path)) tap.add({ ...lifecycle(), type: "refuse", request, status, reason });
      }),
      this.#on("enfilade:error", ({ error, connection }) => {
        const isMatch =
          connection === undefined ? matcher.matchesPath(undefined) : matcher.matchesConnection(connection);
        if (isMatch) tap.add({ ...lifecycle(), type: "error", error, connection });
      }),
    ];
  }

  /** The room path of a request; `undefined` if it is invalid. */
  #pathOf(target: string): string | undefined {
    try {
      return pathOfTarget(target, this.#deps.limits);
    } catch {
      return undefined;
    }
  }

  #on<Name extends keyof DiagnosticMessages>(
    name: Name,
    listener: (message: DiagnosticMessages[Name]) => void,
  ): () => void {
    return subscribeTo(name, this.#deps.app, listener);
  }
}
