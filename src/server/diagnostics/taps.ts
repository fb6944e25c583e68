import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { EnfiladeError } from "../../errors.js";
import type { Application } from "../../handler/application.js";
import { type PathLimits, pathOfTarget } from "../../wire/path.js";
import type { DiagnosticMessages } from "./messages.js";
import { Tap, type TapLimits, type TapListener } from "./tap.js";
import { type TapFilter, TapMatcher } from "./tapFilter.js";

export interface TapsDeps {
  readonly app: Application;
  readonly limits: TapLimits & PathLimits;
  readonly report: (error: unknown) => void;
}

export interface TapOptions {
  /** Removes the tap when it is aborted. */
  readonly signal?: AbortSignal | undefined;
}

/** The taps of one app: each subscribes to the channels that it needs, as any other code might. */
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

  /** The app is closed. What was found before is still delivered. */
  unsubscribe(): void {
    for (const unsubscribe of [...this.#subscriptions]) unsubscribe();
  }

  #subscribe(matcher: TapMatcher, tap: Tap): () => void {
    const { directions } = matcher;
    const subscriptions = [
      ...(directions.has("in") ? [this.#onMessageIn(matcher, tap)] : []),
      ...(directions.has("out") ? [this.#onMessageOut(matcher, tap)] : []),
      ...(directions.has("publish") ? [this.#onPublish(matcher, tap)] : []),
      // None of these has a text.
      ...(directions.has("lifecycle") && !matcher.readsText ? this.#onLifecycle(matcher, tap) : []),
    ];
    return () => {
      for (const end of subscriptions) end();
    };
  }

  #onMessageIn(matcher: TapMatcher, tap: Tap): () => void {
    return this.#on("enfilade:message:in", ({ connection, message }) => {
      if (!matcher.fitsConnection(connection)) return;
      // Copied, since what came may be a small part of a large buffer.
      const data = message.isText ? message.text : new Uint8Array(message.bytes);
      if (matcher.fitsText(data)) tap.put({ direction: "in", time: Date.now(), connection, data });
    });
  }

  #onMessageOut(matcher: TapMatcher, tap: Tap): () => void {
    return this.#on("enfilade:message:out", ({ connection, kind, data, room }) => {
      if (!matcher.fitsConnection(connection, room) || !matcher.fitsText(data)) return;
      tap.put({ direction: "out", time: Date.now(), connection, kind, data, room });
    });
  }

  #onPublish(matcher: TapMatcher, tap: Tap): () => void {
    return this.#on("enfilade:publish", ({ to, kind, data, kept, position }) => {
      if (!matcher.fitsTarget(to) || !matcher.fitsText(data)) return;
      tap.put({ direction: "publish", time: Date.now(), to, kind, data, kept, position });
    });
  }

  #onLifecycle(matcher: TapMatcher, tap: Tap): readonly (() => void)[] {
    const at = () => ({ direction: "lifecycle", time: Date.now() }) as const;
    return [
      this.#on("enfilade:connection:open", ({ connection }) => {
        if (matcher.fitsConnection(connection)) tap.put({ ...at(), type: "open", connection });
      }),
      this.#on("enfilade:connection:close", ({ connection, code, reason }) => {
        if (matcher.fitsConnection(connection)) tap.put({ ...at(), type: "close", connection, code, reason });
      }),
      this.#on("enfilade:refuse", ({ request, status }) => {
        if (matcher.fitsPath(this.#pathOf(request.url))) tap.put({ ...at(), type: "refuse", request, status });
      }),
      this.#on("enfilade:error", ({ error, connection }) => {
        const fits = connection === undefined ? matcher.fitsPath(undefined) : matcher.fitsConnection(connection);
        if (fits) tap.put({ ...at(), type: "error", error, connection });
      }),
    ];
  }

  /** The room that a request was for; `undefined` when it has no valid path. */
  #pathOf(target: string): string | undefined {
    try {
      return pathOfTarget(target, this.#deps.limits);
    } catch {
      return undefined;
    }
  }

  #on<Name extends keyof DiagnosticMessages>(
    name: Name,
    take: (message: DiagnosticMessages[Name]) => void,
  ): () => void {
    const onMessage = (message: unknown) => {
      // Each channel has one type of message; Node's types know of none.
      const own = message as DiagnosticMessages[Name];
      if (own.app === this.#deps.app) take(own);
    };
    subscribe(name, onMessage);
    return () => unsubscribe(name, onMessage);
  }
}
