import { connect } from "../../client/connect.js";
import type { ClientState, StateDetail } from "../../client/connection/reconnector.js";
import { ConnectError, RequestError } from "../../client/errors.js";
import type { ClientMessage } from "../../client/messages/message.js";
import type { ClientRoom } from "../../client/room.js";
import type { Lost } from "../../client/roomEvents.js";
import { deferred } from "../../connection/clock.js";
import { ABNORMAL } from "../../wire/closeCodes.js";
import { meaningOf } from "../failure.js";
import type { Sockets } from "../socket.js";
import { visibleJSON } from "../text.js";
import type { Content, Ending, Link } from "./link.js";
import { observedSockets } from "./observedSocket.js";
import { PresenceNotes } from "./presenceNotes.js";
import type { Screen } from "./screen.js";
import { Unanswered } from "./unanswered.js";

export interface RoomLinkOptions {
  readonly url: URL;
  readonly token: string | undefined;
  readonly sockets: Sockets;
  readonly screen: Screen;
  /** True to show messages as JSON. */
  readonly isJSON: boolean;
  /** False to end if the server cannot be reached at first. Later breaks are always restored. */
  readonly isPatient: boolean;
}

/** Lines that the client may keep while there is no connection. */
const queueMessagesMax = 1_000;

/** A room over `enfilade.v1`, by the client of this package: it reconnects, and recovers messages. */
export class RoomLink implements Link {
  readonly opened: Promise<unknown>;
  readonly ended: Promise<Ending>;
  failures = 0;
  readonly #room: ClientRoom;
  readonly #screen: Screen;
  readonly #unanswered = new Unanswered();
  readonly #isPatient: boolean;
  readonly #end: (ending: Ending) => void;
  #wasOpen = false;

  constructor({ url, token, sockets, screen, isJSON, isPatient }: RoomLinkOptions) {
    this.#screen = screen;
    this.#isPatient = isPatient;
    ({ promise: this.ended, resolve: this.#end } = deferred<Ending>());
    const WebSocket = observedSockets(sockets, this.#unanswered);
    this.#room = connect(url, { WebSocket, token, queueMessagesMax });
    const presence = new PresenceNotes(screen);
    this.#room.on("state", (state, detail) => this.#onState(state, detail));
    this.#room.on("message", (message) => screen.message(lineOf(message, isJSON)));
    this.#room.on("recovered", ({ position }) => screen.note(`recovered at ${position.offset}: no message is missing`));
    this.#room.on("lost", (lost) => screen.note(lossOf(lost)));
    this.#room.on("presence", (change) => presence.show(change));
    this.#room.on("dropped", ({ count }) => {
      this.failures += count;
      this.#unanswered.settle(count);
      screen.note(`${count} lines were dropped, since there was no connection`);
    });
    this.#room.on("error", (error) => this.#onError(error));
    // A failure is a state, too.
    const { promise, resolve } = deferred<void>();
    this.#room.opened.then(
      () => resolve(),
      () => undefined,
    );
    this.opened = promise;
  }

  get unanswered(): number {
    return this.#unanswered.count;
  }

  send(content: Content): void {
    this.#unanswered.add();
    if ("event" in content) this.#request(content.event, content.data);
    else if ("json" in content) this.#room.sendJSON(content.json);
    else this.#room.sendText(content.text);
  }

  whenAtMost(count: number): Promise<void> {
    return this.#unanswered.whenAtMost(count);
  }

  close(): void {
    this.#room.close();
  }

  #request(event: string, data: unknown): void {
    this.#room.request(event, data, { timeoutMs: Number.POSITIVE_INFINITY }).then(
      (reply) => this.#screen.note(`reply: ${visibleJSON(reply)}`),
      (error: unknown) => this.#onError(error),
    );
  }

  #onError(error: unknown): void {
    // States report it.
    if (error instanceof ConnectError) return;
    if (error instanceof RequestError && error.code === "closed") return;
    this.failures += 1;
    const isRefusal = error instanceof RequestError;
    const code = isRefusal ? `refused: ${error.code}: ` : "error: ";
    const issues = isRefusal ? error.issues.map(({ path, message }) => `; ${path}: ${message}`).join("") : "";
    this.#screen.note(`${code}${error instanceof Error ? error.message : error}${issues}`);
  }

  #onState(state: ClientState, detail: StateDetail): void {
    if (state === "open") this.#onOpen();
    else if (state === "waiting") this.#onWaiting(detail);
    else if (state === "closed") this.#end({ isNormal: detail.code === 1000, text: endOf(detail) });
  }

  #onOpen(): void {
    const { position } = this.#room;
    const at = position === undefined ? "" : ` at position ${position.epoch}:${position.offset}`;
    this.#screen.note(`${this.#wasOpen ? "connected again" : "connected"}${at}`);
    this.#wasOpen = true;
  }

  #onWaiting(detail: StateDetail): void {
    // The client has waited for the first welcome of the server.
    const isForeign = !this.#wasOpen && detail.reason === "silent";
    const hint = "the server did not answer in enfilade.v1; for another server, use --plain";
    const text = isForeign ? hint : endOf(detail);
    if (this.#wasOpen || this.#isPatient) {
      const seconds = ((detail.delayMs ?? 0) / 1_000).toFixed(1);
      this.#screen.note(`no connection: ${text}; the next attempt is in ${seconds} s`);
    } else {
      this.#end({ isNormal: false, text });
      this.#room.close();
    }
  }
}

function endOf({ code, reason = "", status }: StateDetail): string {
  const http = status === undefined || reason.includes(String(status)) ? "" : ` (HTTP ${status})`;
  return `${code} ${code === ABNORMAL ? meaningOf(reason) : reason}`.trim() + http;
}

function lossOf({ reason, missed }: Lost): string {
  return `lost ${missed ?? "an unknown number of"} messages here: ${reason}`;
}

/** One line; the offset of a publication is before the sign, where no message can imitate it. */
function lineOf({ data, text, bytes, offset, room }: ClientMessage, isJSON: boolean): { tag: string; text: string } {
  const tag = [room ?? [], offset === undefined ? [] : `#${offset}`].flat().join(" ");
  if (bytes !== undefined) {
    const base64 = Buffer.from(bytes).toString("base64");
    return { tag, text: isJSON ? visibleJSON({ base64 }) : `${bytes.length} bytes: ${base64}` };
  }
  return { tag, text: text === undefined || isJSON ? visibleJSON(text ?? data) : text };
}
