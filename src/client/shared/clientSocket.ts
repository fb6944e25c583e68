import type { Clock, Timer } from "../../connection/clock.js";
import { EnfiladeError } from "../../errors.js";
import { checkedReason } from "../../wire/closeCodes.js";
import { checkNames } from "../../wire/options.js";
import { pathOfTarget } from "../../wire/path.js";
import { clientClock } from "../connection/clock.js";
import { watchPage } from "../connection/page.js";
import { defaultWebSocket, type WebSocketConstructor } from "../connection/socket.js";
import type { ConnectOptions } from "../connectOptions.js";
import { ClientRoom } from "../room.js";
import { RoomConnection } from "./roomConnection.js";
import { SharedConnection } from "./sharedConnection.js";

/** Options of a room on a socket; the socket has the others. */
export type SocketRoomOptions = Omit<ConnectOptions, "WebSocket" | "clock" | "random">;

const roomOptionNames = [
  "token",
  "queueMessagesMax",
  "queueBytesMax",
  "onResync",
  "debug",
] as const satisfies readonly (keyof SocketRoomOptions)[];
/** Milliseconds until a socket without rooms is closed: a page that changes its room keeps the socket. */
const emptyMs = 1_000;
/** Milliseconds in which rooms share a token. */
const sharedTokenMs = 100;

/** A WebSocket with many rooms, across reconnects. Made by {@link connectSocket}. */
export class ClientSocket implements AsyncDisposable {
  readonly #url: URL;
  readonly #WebSocket: WebSocketConstructor;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #roomDefaults: ConnectOptions;
  /** The rooms that are not closed, by path. */
  readonly #rooms = new Map<string, { readonly room: ClientRoom; readonly search: string }>();
  #isClosed = false;
  /** The newest socket: new connections open on it. The others have rooms that are moving to it. */
  #current: SharedConnection | undefined;
  #emptyTimer: Timer | undefined;
  #isHidden = false;
  #delayShare = 0;
  #token: Promise<string> | undefined;
  readonly #unwatchPage: () => void;

  /** @internal */
  constructor(url: URL, options: ConnectOptions) {
    this.#url = url;
    const { WebSocket = defaultWebSocket(), clock = clientClock, random = Math.random, ...roomDefaults } = options;
    this.#WebSocket = WebSocket;
    this.#clock = clock;
    this.#random = random;
    this.#roomDefaults = roomDefaults;
    this.#delayShare = random();
    this.#unwatchPage = watchPage(({ type }) => {
      if (type.startsWith("page")) this.#isHidden = type === "pagehide";
    });
  }

  /**
   * The room with this path, such as `/chat/general`: a {@link ClientRoom} as `connect` returns it. A room that is open
   * already is returned again.
   *
   * @param path The path, with a query if the handler reads one: `/chat/general?as=ann`.
   * @throws EnfiladeError `ERR_PATH` when it is no path; `ERR_OPTION` when an option is unknown, or the room is open
   *   and options or another query are given; `ERR_CONNECTION` after {@link close}.
   */
  room<Client = unknown, Server = unknown>(path: string, options: SocketRoomOptions = {}): ClientRoom<Client, Server> {
    checkNames("room()", options, roomOptionNames);
    const url = this.#urlOf(path);
    if (this.#isClosed) throw new EnfiladeError("ERR_CONNECTION", "the socket is closed; call connectSocket() again");
    const name = pathOfTarget(url.pathname);
    const known = this.#rooms.get(name);
    if (known !== undefined && (Object.keys(options).length > 0 || known.search !== url.search)) {
      const problem = `the room ${name} is open already, with other options or another query`;
      throw new EnfiladeError("ERR_OPTION", `${problem}; close it first`);
    }
    // The events are those that the caller declares; they are types only.
    return (known?.room ?? this.#open(name, url, options)) as ClientRoom<Client, Server>;
  }

  #open(name: string, url: URL, options: SocketRoomOptions): ClientRoom {
    const room = new ClientRoom(url, { ...this.#roomOptions(), ...options });
    const entry = { room, search: url.search };
    this.#rooms.set(name, entry);
    // A page may visit any number of rooms.
    room.on("state", (state) => {
      if (state === "closed" && this.#rooms.get(name) === entry) this.#rooms.delete(name);
    });
    return room;
  }

  /**
   * Closes all rooms and the socket. Further calls do nothing.
   *
   * @throws EnfiladeError `ERR_CLOSE_CODE` as `room.close()`.
   */
  close(code = 1000, reason = ""): void {
    checkedReason(code, reason);
    this.#isClosed = true;
    for (const { room } of [...this.#rooms.values()]) room.close(code, reason);
    this.#current?.close(code, reason);
    this.#emptyTimer?.cancel();
    this.#unwatchPage();
  }

  /** Calls {@link close}, at the end of the block of `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #urlOf(path: string): URL {
    if (typeof path !== "string" || !path.startsWith("/")) {
      throw new EnfiladeError("ERR_PATH", `room() takes a path such as "/chat/general", got ${JSON.stringify(path)}`);
    }
    const url = new URL(this.#url);
    const [pathname = "", ...query] = path.split("?");
    url.pathname = pathname;
    url.search = query.join("?");
    return url;
  }

  #roomOptions(): ConnectOptions {
    const { token } = this.#roomDefaults;
    const connect = (connection: RoomConnection) => this.#connect(connection);
    const WebSocket: WebSocketConstructor = class extends RoomConnection {
      constructor(url: string, subprotocols: string[]) {
        super(url, subprotocols);
        connect(this);
      }
    };
    // Rooms that were lost together come back together.
    const random = () => this.#delayShare;
    const shared = typeof token === "function" ? () => this.#tokenOf(token) : token;
    return { ...this.#roomDefaults, WebSocket, clock: this.#clock, random, token: shared };
  }

  /** Rooms that connect together share a call. */
  #tokenOf(get: () => string | Promise<string>): Promise<string> {
    if (this.#token === undefined) {
      const forget = () => {
        this.#token = undefined;
      };
      this.#token = (async () => get())();
      // The timers of rooms that were lost together do not fire in one turn of the event loop.
      this.#token.then(() => this.#clock.setTimeout(forget, sharedTokenMs), forget);
    }
    return this.#token;
  }

  #connect(room: RoomConnection): void {
    if (!this.#current?.accepts(room)) {
      const last = this.#current;
      this.#current = new SharedConnection({
        clock: this.#clock,
        WebSocket: this.#WebSocket,
        url: this.#url.href,
        report: this.#report,
        onEmpty: (connection) => this.#closeEmpty(connection),
        onEnd: (connection) => this.#onEnd(connection),
      });
      if (last?.isEmpty) last.close();
    }
    this.#current.add(room);
  }

  #closeEmpty(connection: SharedConnection): void {
    if (connection !== this.#current || this.#isHidden) connection.close();
    else {
      this.#emptyTimer?.cancel();
      this.#emptyTimer = this.#clock.setTimeout(() => connection.isEmpty && connection.close(), emptyMs);
    }
  }

  /** A frame that cannot be read belongs to no room. */
  readonly #report = (error: unknown): void => console.error(error);

  #onEnd(connection: SharedConnection): void {
    if (this.#current !== connection) return;
    this.#current = undefined;
    this.#delayShare = this.#random();
  }
}
