import { type UserAddress, userTopic } from "../backplane/topic.js";
import { type Connection, connectionOf } from "../connection/connection.js";
import { type DeliveryOptions, policyOf } from "../connection/policy.js";
import type { ConnectionRequest } from "../connection/request.js";
import { EnfiladeError } from "../errors.js";
import type { Member } from "../protocol/dialect.js";
import type { SendOptions } from "../room/address.js";
import type { Publisher } from "../room/publisher.js";
import type { Room } from "../room/room.js";
import type { RoomPath } from "../wire/path.js";
import { type Bytes, Payload } from "../wire/payload.js";
import type { Application } from "./application.js";
import type { HandlerConfig, HandlerContext } from "./context.js";
import type { Authorized } from "./user.js";

/** These reach the private field of the class below, which sets them. */
let setContext: (handler: AnyHandler, context: HandlerContext) => void;
let contextOf: (handler: AnyHandler) => HandlerContext;

/**
 * Base class for handlers: one instance per connection. Implement exactly one of `serve`, `onJSON`, `onMessage`.
 *
 * The instance is created during the handshake; its constructor has no request yet. `Params` is the type of
 * `this.params`. `User` is the type that `authorize` returns: `this.user`.
 *
 * @example
 * ```ts
 * import { App, WebSocketHandler } from "enfilade";
 * import { connect } from "enfilade/testing";
 *
 * class Chat extends WebSocketHandler<{ channel: string }> {
 *   static route = "/chat/:channel";
 *
 *   onJSON(message: unknown, error?: Error) {
 *     if (error) this.sendJSON({ error: error.message });
 *     else this.sendJSONToThisRoom({ from: this.id, message });
 *   }
 * }
 *
 * const app = new App({ handlers: [Chat] });
 * const ann = await connect(app, "/chat/general");
 * ann.sendJSON("hello");
 * console.log(await ann.readJSON());
 * await app.close();
 * ```
 */
export abstract class WebSocketHandler<
  Params extends object = Readonly<Record<string, string | undefined>>,
  User = unknown,
> {
  #context: HandlerContext | undefined;

  static {
    setContext = (handler, context) => {
      if (handler.#context !== undefined) {
        const { name } = handler.constructor;
        const problem = `create returned the same instance of ${name} again`;
        throw new EnfiladeError("ERR_OPTION", `${problem}; return a new instance for each connection`);
      }
      handler.#context = context;
    };
    contextOf = (handler) => handler.#boundContext;
  }

  /** Reads messages in a loop over `this.connection`. When it returns, the connection closes with 1000. */
  serve?(): Promise<void>;

  /**
   * Called with each text message, parsed as JSON; one call at a time.
   *
   * A method with two parameters is also called with `(undefined, error)`: with a `MessageError` when a message is not
   * JSON, and once with a `ConnectionError` when the connection failed. A method with one parameter gets no errors:
   * then a `MessageError` goes to `onError`, or closes the connection with 1007 if there is no `onError`.
   */
  onJSON?(message: unknown, error?: Error): unknown;

  /** Called with each text message, unparsed; one call at a time. A `ConnectionError` comes as with {@link onJSON}. */
  onMessage?(text: string | undefined, error?: Error): unknown;

  /** Called with each binary message. Without it, a binary message closes the connection with 1003. */
  onBinary?(bytes: Uint8Array): unknown;

  /**
   * Decides before the upgrade whether the client may connect. Its return value is `this.user`.
   *
   * To refuse, throw `new HttpError(401)` or return a `Response`. To accept a client without a user, return
   * `anonymous`. The answer is 500 for any other error, for a falsy value such as `undefined`, and for a user whose
   * `id` is neither a string nor a finite number; it is 503 after `authorizeMs`. `request.token` has the token of
   * `enfilade/client`. When a client renews its token, this is called again.
   */
  authorize?(request: ConnectionRequest): Authorized<User>;

  /** Called once the connection is open and in its home room. Messages wait until it has finished. */
  onConnect?(): unknown;

  /**
   * Called exactly once for each opened connection, after it ended and left its rooms (`this.leftRooms`).
   *
   * @param code The close code (RFC 6455 7.4): 1005 if the client gave none, 1006 if the connection broke.
   * @param reason The close reason; `""` if there is none.
   */
  onClose?(code: number, reason: string): unknown;

  /**
   * Decides whether this connection may join a room other than its home; called by `join()`. Only `true` allows it.
   *
   * If it throws, `join()` throws the same error.
   */
  authorizeJoin?(room: Room): boolean | Promise<boolean>;

  /** Called after this connection joined a room other than its home. */
  onRoomJoin?(room: Room): unknown;

  /**
   * Called after this connection left a room other than its home, but not when it ends: see `onClose` and `leftRooms`.
   *
   * @param reason The reason given to `room.evict()`, else empty.
   */
  onRoomLeave?(room: Room, reason: string): unknown;

  /** Called when a client that lagged has caught up: no message waits for it any more. See `DeliveryPolicy`. */
  onDrain?(): unknown;

  /**
   * Called with an error that another method threw. The connection then closes with 1011, unless the method answers an
   * event.
   *
   * Also called with the `MessageError` of a message that is not JSON, if `onJSON` takes no error; the connection stays
   * open.
   */
  onError?(error: Error): unknown;

  /** The unique id of the connection. */
  get id(): string {
    return this.#boundContext.id;
  }

  /** The app: registry, channels, context and status. */
  get app(): Application {
    return this.#boundContext.config.app;
  }

  /** The HTTP request that opened this connection. */
  get request(): ConnectionRequest {
    return this.#boundContext.request;
  }

  /** The query of the request's URL. */
  get query(): URLSearchParams {
    return this.request.query;
  }

  /** The decoded parameters of the route; with a `params` schema, its output. */
  get params(): Params {
    // Registration accepts a class only for a route with the parameters that the class declares.
    return this.#boundContext.params as Params;
  }

  /**
   * The user that `authorize` returned: that of the handler, or else of its scope or the app. `undefined` for an
   * anonymous client.
   */
  get user(): User {
    // The type of `authorize` in this class promises it.
    return this.#boundContext.user as User;
  }

  /** Aborted when the connection ends, or when the client disconnects during the handshake. */
  get signal(): AbortSignal {
    return this.#boundContext.lifetime.signal;
  }

  /**
   * The connection, from `onConnect` on: reading, requests to the client, `flushed()`, `close()`.
   *
   * @throws EnfiladeError `ERR_NOT_CONNECTED` during the handshake.
   */
  get connection(): Connection {
    return connectionOf(memberOf(this));
  }

  /** The home of this connection: the room of its path. */
  get room(): Room {
    return this.app.registry.room(this.request.path);
  }

  /** The rooms that this connection is in. */
  get rooms(): Room[] {
    return this.app.registry.roomsOf(this.connection);
  }

  /** The paths of the rooms that the connection was in when it ended; empty before. */
  get leftRooms(): readonly RoomPath[] {
    return this.#boundContext.leftRooms;
  }

  /**
   * Sends `value` as JSON to this client.
   *
   * @throws EnfiladeError `ERR_VALUE` when JSON cannot encode `value`, `ERR_NOT_CONNECTED` during the handshake.
   */
  sendJSON(value: unknown, options?: DeliveryOptions): void {
    this.#sendHere(Payload.json(value), options);
  }

  /** Sends a text message to this client. */
  sendText(text: string, options?: DeliveryOptions): void {
    this.#sendHere(Payload.text(text), options);
  }

  /** Sends a binary message to this client. */
  sendBinary(bytes: Bytes, options?: DeliveryOptions): void {
    this.#sendHere(Payload.binary(bytes), options);
  }

  /** Sends JSON to the home room, this client included; `{ except: this }` leaves it out. */
  sendJSONToThisRoom(value: unknown, options?: SendOptions): void {
    this.#publisher.send(this.request.path, Payload.json(value), options);
  }

  /** Sends a text message to the home room, this client included. */
  sendTextToThisRoom(text: string, options?: SendOptions): void {
    this.#publisher.send(this.request.path, Payload.text(text), options);
  }

  /** Sends a binary message to the home room, this client included. */
  sendBinaryToThisRoom(bytes: Bytes, options?: SendOptions): void {
    this.#publisher.send(this.request.path, Payload.binary(bytes), options);
  }

  /** Sends JSON to the room of `path`, or to all rooms of a tree; see {@link Registry.sendJSONToRoom}. */
  sendJSONToRoom(path: string, value: unknown, options?: SendOptions): void {
    this.#publisher.send(this.app.registry.topicOf(path), Payload.json(value), options);
  }

  /** Sends a text message to the room of `path`, or to all rooms of a tree. */
  sendTextToRoom(path: string, text: string, options?: SendOptions): void {
    this.#publisher.send(this.app.registry.topicOf(path), Payload.text(text), options);
  }

  /** Sends a binary message to the room of `path`, or to all rooms of a tree. */
  sendBinaryToRoom(path: string, bytes: Bytes, options?: SendOptions): void {
    this.#publisher.send(this.app.registry.topicOf(path), Payload.binary(bytes), options);
  }

  /** Sends JSON to every connection of the app, on all nodes. */
  sendJSONToAll(value: unknown, options?: SendOptions): void {
    this.#publisher.send("all", Payload.json(value), options);
  }

  /** Sends a text message to every connection of the app, on all nodes. */
  sendTextToAll(text: string, options?: SendOptions): void {
    this.#publisher.send("all", Payload.text(text), options);
  }

  /** Sends a binary message to every connection of the app, on all nodes. */
  sendBinaryToAll(bytes: Bytes, options?: SendOptions): void {
    this.#publisher.send("all", Payload.binary(bytes), options);
  }

  /** Sends JSON to every connection of one user, named by id or as `authorize` returned it. */
  sendJSONToUser(user: UserAddress, value: unknown, options?: SendOptions): void {
    this.#publisher.send(userTopic(user), Payload.json(value), options);
  }

  /** Sends a text message to every connection of one user. */
  sendTextToUser(user: UserAddress, text: string, options?: SendOptions): void {
    this.#publisher.send(userTopic(user), Payload.text(text), options);
  }

  /** Sends a binary message to every connection of one user. */
  sendBinaryToUser(user: UserAddress, bytes: Bytes, options?: SendOptions): void {
    this.#publisher.send(userTopic(user), Payload.binary(bytes), options);
  }

  /**
   * Adds this connection to another room, which needs no route; errors are those of {@link Registry.join}.
   *
   * Returns a promise if `authorizeJoin` does; else the connection has joined when this returns.
   */
  join(path: string): Promise<void> | undefined {
    return this.app.registry.join(this.connection, path);
  }

  /** Removes this connection from a room; does nothing if it is not in the room. */
  leave(path: string): void {
    this.app.registry.leave(this.connection, path);
  }

  /** Removes this connection from all its rooms, the home included. */
  leaveAll(): void {
    this.app.registry.leaveAll(this.connection);
  }

  /**
   * Sends this client the presence of a room it is in, `{"type": "presence", "room", "version", "count", "users"}`, and
   * then each change, with `joined` and `left` instead of `users`.
   *
   * @param path Default: the home room.
   * @throws EnfiladeError `ERR_PRESENCE` when the room's route has no `presence`, or this client is not in the room.
   */
  watchPresence(path: string = this.request.path): void {
    this.app.registry.watchPresence(this.connection, path);
  }

  /** Closes this connection: 1000 by default, or a code from 3000 to 4999; see {@link Connection.close}. */
  close(code?: number, reason?: string): void {
    this.connection.close(code, reason);
  }

  /** Uses the policy of the route unless the call names one. */
  #sendHere(payload: Payload, options: DeliveryOptions | undefined): void {
    memberOf(this).send(payload, policyOf(options) ?? this.#boundContext.config.policy);
  }

  get #publisher(): Publisher {
    return this.#boundContext.config.publisher;
  }

  get #boundContext(): HandlerContext {
    if (this.#context === undefined) {
      throw new EnfiladeError(
        "ERR_NOT_CONNECTED",
        "a handler has no request in its constructor; read it in authorize or onConnect",
      );
    }
    return this.#context;
  }
}

/** A handler with any parameters and any user. */
export type AnyHandler = WebSocketHandler<object, unknown>;

/** @internal Binds a new handler to the context of its connection. */
export function bind(handler: AnyHandler, context: HandlerContext): void {
  setContext(handler, context);
}

/** @internal The configuration that all handlers of the route share. */
export function configOf(handler: AnyHandler): HandlerConfig {
  return contextOf(handler).config;
}

/** @internal @throws EnfiladeError `ERR_NOT_CONNECTED` during the handshake. */
export function memberOf(handler: AnyHandler): Member {
  const { member } = contextOf(handler);
  if (member !== undefined) return member;
  const problem = "the handler has no connection before the upgrade";
  throw new EnfiladeError("ERR_NOT_CONNECTED", `${problem}; use it in onConnect or later`);
}
