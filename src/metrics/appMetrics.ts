import { traces } from "../diagnostics.js";
import type { Application, Status } from "../handler/application.js";
import { type LoopDelay, LoopDelayMonitor } from "../server/diagnostics/loopDelay.js";
import { type PublicationTarget, subscribeTo, type TraceSpans } from "../server/diagnostics/messages.js";
import { CallDurations, Durations } from "./durations.js";
import { closeCodeLabel, statusLabel } from "./labels.js";
import { type Sample, Tally } from "./sample.js";
import { timeSpans } from "./spans.js";

/** The numbers of one app, counted from its installation to its close. */
export class AppMetrics {
  readonly #app: Application;
  readonly #loopDelay: LoopDelayMonitor;
  readonly #subscriptions: readonly (() => void)[];
  readonly #closes = new Tally();
  readonly #refusals = new Tally();
  readonly #resumes = new Tally();
  readonly #calls = new CallDurations();
  readonly #publications = new Map<PublicationTarget["kind"], Durations>();
  #errors = 0;
  #status: Status | undefined;

  constructor(app: Application) {
    this.#app = app;
    const { clock } = app.registry;
    this.#loopDelay = new LoopDelayMonitor(clock);
    this.#loopDelay.read();
    this.#subscriptions = [
      subscribeTo("enfilade:connection:close", app, ({ code, by }) => {
        this.#closes.add({ code: closeCodeLabel(code), by });
      }),
      subscribeTo("enfilade:refuse", app, ({ status, reason }) => {
        this.#refusals.add({ status: statusLabel(status), reason });
      }),
      subscribeTo("enfilade:resume", app, ({ reason }) => this.#resumes.add({ outcome: reason ?? "recovered" })),
      subscribeTo("enfilade:error", app, () => {
        this.#errors += 1;
      }),
      timeSpans(traces.handler, app, clock, (span: TraceSpans["enfilade:handler"], seconds) => {
        // serve() takes as long as its connection.
        if (span.method !== "serve") this.#calls.observe(span.route, span.method, span.event, seconds);
      }),
      timeSpans(traces.publish, app, clock, (span: TraceSpans["enfilade:publish"], seconds) => {
        if (!("error" in span)) this.#observePublication(span.to.kind, seconds);
      }),
    ];
  }

  close(): void {
    for (const unsubscribeOne of this.#subscriptions) unsubscribeOne();
    this.#loopDelay.stop();
  }

  /** The status of the app, the same for all metrics of one scrape. */
  get status(): Status {
    if (this.#status === undefined) {
      this.#status = this.#app.status();
      // A registry reads all its metrics in one call.
      queueMicrotask(() => {
        this.#status = undefined;
      });
    }
    return this.#status;
  }

  get loopDelayMs(): LoopDelay {
    return this.#loopDelay.read();
  }

  get errors(): number {
    return this.#errors;
  }

  get closes(): readonly Sample[] {
    return this.#closes.samples;
  }

  get refusals(): readonly Sample[] {
    return this.#refusals.samples;
  }

  get resumes(): readonly Sample[] {
    return this.#resumes.samples;
  }

  get calls(): readonly Sample[] {
    return this.#calls.samples;
  }

  get publications(): readonly Sample[] {
    return [...this.#publications.values()].flatMap(({ samples }) => samples);
  }

  #observePublication(to: PublicationTarget["kind"], seconds: number): void {
    const known = this.#publications.get(to) ?? new Durations({ to });
    this.#publications.set(to, known);
    known.observe(seconds);
  }
}
