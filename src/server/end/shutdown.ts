import type { Backplane } from "../../backplane/backplane.js";
import type { MemoryBackplane } from "../../backplane/memory.js";
import type { RevokedTopic } from "../../backplane/topic.js";
import { type Clock, timeIsUp, within } from "../../connection/clock.js";
import { EnfiladeError } from "../../errors.js";
import type { Status } from "../../handler/application.js";
import type { Dialects } from "../../protocol/dialects.js";
import type { Registry } from "../../room/registry.js";
import { CloseCode } from "../../wire/closeCodes.js";
import type { Acceptor } from "../acceptor.js";
import type { Health } from "../diagnostics/health.js";
import type { Taps } from "../diagnostics/taps.js";
import type { Extensions } from "../extensions/extensions.js";
import type { Limits } from "../limits.js";
import type { OwnServer } from "../listening.js";
import type { Logger } from "../options.js";
import { busy } from "../refusal.js";
import { Drain, type DrainOptions, type DrainResult, drainConfigOf } from "./drain.js";
import { SignalHandling, type SignalOptions, signalConfigOf } from "./signals.js";

/** The parts of an app that end with it. */
export interface ShutdownDeps {
  readonly acceptor: Acceptor;
  readonly ownServer: OwnServer;
  /** Each detaches the app from a server. */
  readonly detachments: readonly (() => void)[];
  readonly extensions: Extensions;
  readonly registry: Registry;
  readonly backplane: Backplane;
  readonly dialects: Dialects;
  readonly memory: MemoryBackplane;
  readonly taps: Taps;
  readonly health: Health;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly logger: Logger;
}

/** The end of an app: moves its clients away, and closes it. */
export class Shutdown {
  readonly #deps: ShutdownDeps;
  #state: Status["state"] = "open";
  #drain: Drain | undefined;
  #closed: Promise<boolean> | undefined;
  #signals: SignalHandling | undefined;

  constructor(deps: ShutdownDeps) {
    this.#deps = deps;
  }

  get state(): Status["state"] {
    return this.#state;
  }

  /** Whether clients are accepted. */
  get isAccepting(): boolean {
    return this.#state === "open" && this.#drain === undefined;
  }

  /** @throws EnfiladeError `ERR_APP_STATE` when the app is closed. */
  assertOpen(action: string): void {
    if (this.#state === "open") return;
    throw new EnfiladeError("ERR_APP_STATE", `the app is closed and cannot ${action}; make a new App`);
  }

  /** Closes connections while the app is open, and while it closes: other nodes may have some. */
  async revoke(topic: RevokedTopic): Promise<void> {
    if (this.#state === "closed") this.assertOpen("revoke access");
    await this.#deps.registry.publisher.revoke(topic, CloseCode.unauthorized, "revoked");
  }

  /** @throws EnfiladeError `ERR_OPTION`; `ERR_APP_STATE` for options other than those of the drain that runs. */
  drain(options: DrainOptions): Promise<DrainResult> {
    const config = drainConfigOf(options);
    if (this.#drain === undefined) {
      this.assertOpen("drain");
      const { acceptor, registry, clock, logger } = this.#deps;
      this.#drain = new Drain({ acceptor, members: registry.members, clock, logger }, config);
    }
    this.#drain.assertSame(options);
    return this.#drain.result;
  }

  /** Resolves when the app is closed: with `false` if connections were destroyed after `timeoutMs`. */
  close(timeoutMs = this.#deps.limits.closeMs): Promise<boolean> {
    this.#closed ??= this.#close(timeoutMs);
    return this.#closed;
  }

  /** @throws EnfiladeError `ERR_OPTION`; `ERR_APP_STATE` when signals are handled already, or the app is closed. */
  handleSignals(options: SignalOptions): () => void {
    const { backplane, clock, limits, logger } = this.#deps;
    const isSingleNode = backplane.status().backplane.engine === "memory";
    const defaults = { withinMs: isSingleNode ? 0 : 30_000, timeoutMs: limits.closeMs };
    const config = signalConfigOf(options, defaults);
    this.assertOpen("handle signals");
    if (this.#signals !== undefined) {
      throw new EnfiladeError("ERR_APP_STATE", "the app handles signals already; call the function it returned first");
    }
    const handling = new SignalHandling({ shutdown: this, clock, logger }, config);
    this.#signals = handling;
    return () => {
      handling.remove();
      if (this.#signals === handling) this.#signals = undefined;
    };
  }

  async #close(timeoutMs: number): Promise<boolean> {
    const { acceptor, ownServer, detachments, extensions, registry, backplane, memory, taps, health, clock, logger } =
      this.#deps;
    const { dialects } = this.#deps;
    this.#state = "closing";
    this.#drain?.stop();
    acceptor.stopAccepting(() => busy("closing", "The server is shutting down"));
    const stopped = ownServer.stop();
    registry.endSubscriptions();
    // A client would find its streams on no other node.
    dialects.close();
    for (const member of [...registry.members]) member.close(CloseCode.goingAway, "server shutting down");
    const isEnded = async (end: Promise<void>) => (await within(clock, timeoutMs, end)) !== timeIsUp;
    const [isInTime, areClosed] = await Promise.all([isEnded(acceptor.whenIdle()), isEnded(extensions.close())]);
    if (!isInTime) {
      logger.warn(`enfilade: some connections had not ended after ${timeoutMs} ms; they were destroyed`);
    }
    if (!areClosed) logger.warn(`enfilade: onClose of an extension had not ended after ${timeoutMs} ms`);
    acceptor.destroyAll();
    ownServer.closeAllConnections();
    await stopped;
    for (const detach of detachments) detach();
    registry.closeRooms();
    await backplane.stop();
    memory.clear();
    taps.unsubscribe();
    health.stop();
    this.#state = "closed";
    return isInTime;
  }
}
