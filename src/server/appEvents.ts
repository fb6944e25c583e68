import { type Connection, connectionOf } from "../connection/connection.js";
import { channels } from "../diagnostics.js";
import { asError, type CloseInfo } from "../errors.js";
import type { Member } from "../protocol/dialect.js";
import { Notifier } from "../wire/notifier.js";
import type { Reporter } from "./diagnostics/reporter.js";
import type { Logger } from "./options.js";

/**
 * The events of {@link App.on}, with the arguments of their listeners. A listener that throws does not affect other
 * listeners; its error is logged.
 */
export interface AppEvents {
  /** A connection has opened and is in its room; no hook has run yet. */
  open: [connection: Connection];
  /** A connection has ended and its last hook has finished. */
  close: [connection: Connection, code: number, reason: string];
  /**
   * An error that no caller receives, such as one thrown by a hook. `connection` is `undefined` if it concerns none,
   * such as in `authorize`. Without a listener it is logged.
   */
  error: [error: Error, connection: Connection | undefined];
}

const names: Readonly<Record<keyof AppEvents, true>> = { open: true, close: true, error: true };

/** Notifies the listeners of one app. */
export class AppNotifier extends Notifier<AppEvents> {
  readonly #logger: Logger;
  readonly #reporter: Reporter;

  constructor(logger: Logger, reporter: Reporter) {
    super("the app", names, (error) => logger.error("enfilade: a listener threw", error));
    this.#logger = logger;
    this.#reporter = reporter;
  }

  onOpened(member: Member): void {
    if (this.has("open")) this.emit("open", connectionOf(member));
  }

  onClosed(member: Member, { code, reason }: CloseInfo): void {
    if (this.has("close")) this.emit("close", connectionOf(member), code, reason);
  }

  /** @param thrower Names the method that threw the error, for the log. */
  onError(thrown: unknown, member: Member | undefined, thrower: string | undefined): void {
    const error = asError(thrown);
    const connection = member && connectionOf(member);
    if (channels.failed.hasSubscribers) this.#reporter.onError(error, connection);
    if (this.has("error")) this.emit("error", error, connection);
    else this.#logger.error(thrower === undefined ? "enfilade:" : `enfilade: ${thrower} threw`, error);
  }
}
