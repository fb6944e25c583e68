import {
  type App,
  anonymous,
  type ConnectionRequest,
  EnfiladeError,
  EventError,
  EventHandler,
  HttpError,
  On,
  WebSocketHandler,
} from "../../src/index.js";

/** Counts of what happened to handlers, by name. */
export const tally = new Map<string, number>();

export function count(name: string, by = 1): void {
  tally.set(name, (tally.get(name) ?? 0) + by);
}

/** The token that the guarded route accepts. */
export const rightToken = "right-token";

/** Sends each message back. */
class Echo extends WebSocketHandler {
  onMessage(text: string) {
    this.sendText(text);
  }
  override onBinary(bytes: Uint8Array) {
    this.sendBinary(bytes);
  }
}

/** Sends each message to its room. */
class Chat extends WebSocketHandler {
  onMessage(text: string) {
    this.sendTextToThisRoom(text);
  }
}

/** Reads messages and does nothing with them. */
class Quiet extends WebSocketHandler {
  override onConnect() {
    count("quiet:connect");
  }
  onMessage() {
    count("quiet:message");
  }
  override onBinary() {
    count("quiet:message");
  }
  override onClose() {
    count("quiet:close");
  }
}

/** Never finishes with its first message. */
class Busy extends WebSocketHandler {
  async onMessage() {
    count("busy:message");
    await new Promise((resolve) => this.signal.addEventListener("abort", resolve, { once: true }));
  }
}

/** `authorize` waits until the client has disconnected, or for its time limit. */
class Hung extends WebSocketHandler {
  override async authorize() {
    count("hung:asked");
    await new Promise((resolve) => this.signal.addEventListener("abort", resolve, { once: true }));
    count("hung:aborted");
    return anonymous;
  }
  onMessage() {
    // Never called.
  }
}

/** Reports the path and the parameter that it was found by. */
class Where extends WebSocketHandler<{ rest: string }> {
  override authorize({ path }: ConnectionRequest) {
    return { id: path };
  }
  override onConnect() {
    const { path } = this.request;
    const rooms = this.rooms.map((room) => room.path);
    this.sendJSON({ path, authorized: this.user, rooms, rest: this.params.rest });
  }
  onMessage() {
    this.close();
  }
}

/** Demands a token, which may have an end: `expires-<milliseconds since 1970>`. */
class Guarded extends WebSocketHandler {
  override authorize({ token, query }: ConnectionRequest) {
    count("guarded:asked");
    const given = token ?? query.get("token") ?? "";
    const expiry = /^expires-(\d{1,15})$/.exec(given)?.[1];
    if (expiry !== undefined && Number(expiry) > Date.now()) return { id: "ann" };
    if (given === rightToken) return { id: "ann" };
    throw new HttpError(401, "sign in");
  }
  override onConnect() {
    count("guarded:open");
  }
  onMessage(text: string) {
    this.sendText(text);
  }
}

/** Requests with replies, and rooms that a client joins and leaves; the user is that of the query. */
class Work extends EventHandler {
  override authorize({ query }: ConnectionRequest) {
    const id = query.get("user");
    return id === null ? anonymous : { id, name: id };
  }
  override onConnect() {
    count("work:connect");
  }
  @On("join")
  onJoinRoom(room: string) {
    try {
      this.join(room);
    } catch (error) {
      if (error instanceof EnfiladeError) throw new EventError("refused", error.code);
      throw error;
    }
    return this.rooms.length;
  }
  @On("leave")
  onLeaveRoom(room: string) {
    this.leave(room);
    return this.rooms.length;
  }
  @On("say")
  onSay(text: string) {
    this.sendJSONToThisRoom(text);
    return null;
  }
  @On("mine")
  onMine(value: unknown) {
    count("work:mine");
    return { user: this.query.get("user"), value };
  }
  override onClose() {
    count("work:close");
  }
}

/** The neighbour has a class of its own, so that no other row changes what it does. */
class Neighbour extends Echo {}

/** All routes. Each server process has all of them. */
export function addRoutes(app: App): void {
  app
    .route("/neighbour/:name", Neighbour)
    .route("/echo/:room", Echo)
    .route("/squeezed/:room", Echo, { compression: true })
    .route("/chat/:room", Chat)
    .route("/quiet/:room", Quiet)
    .route("/busy/:room", Busy)
    .route("/hung/:room", Hung)
    .route("/guarded/:room", Guarded)
    .route("/where/**:rest", Where)
    .route("/work/:room", Work)
    .route("/present/:room", Work, { presence: { mode: "full", leaveGraceMs: 0 } })
    .route("/model/:room", Work, { history: { size: 20 }, presence: { mode: "full", leaveGraceMs: 0 } })
    .route("/whole/:room", Work, { history: { size: 1_000_000, bytesMax: 2 ** 30 } })
    .route("/brief/:room", Work, { history: { size: 2 } })
    .route("/kept/:room", Work, { history: { size: 1_000 }, presence: { mode: "full", leaveGraceMs: 100 } });
}
