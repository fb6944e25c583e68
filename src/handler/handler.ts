import { type UserAddress, userTopic } from "../backplane/topic.js";
import { type Connection, connectionOf } from "../connection/connection.js";
import type { Lifetime } from "../connection/lifetime.js";
import { type DeliveryOptions, type DeliveryPolicy, policyOf } from "../connection/policy.js";
import type { ConnectionRequest } from "../connection/request.js";
import { EnfiladeError } from "../errors.js";
import type { Member } from "../protocol/dialect.js";
import type { SendOptions } from "../room/address.js";
import type { Publisher } from "../room/publisher.js";
import type { Room } from "../room/room.js";
import type { EventProtocol } from "../wire/events/protocol.js";
import type { RoomPath } from "../wire/path.js";
import { type Bytes, Payload } from "../wire/payload.js";
import type { Application } from "./application.js";
import type { Authorized } from "./user.js";

/** What the handlers of one route have in common. */
export interface HandlerConfig {
  readonly app: Application;
  readonly publisher: Publisher;
  readonly eventProtocol: EventProtocol;
  /** What becomes of what they send to a client that lags, where a call does not say. */
  readonly policy: DeliveryPolicy | undefined;
  /** The same by the name of an event. */
  readonly eventPolicies: ReadonlyMap<string, DeliveryPolicy>;
}

/** What a handler is given when it is made. */
export interface HandlerContext {
  readonly id: string;
  readonly config: HandlerConfig;
  readonly request: ConnectionRequest;
  readonly lifetime: Lifetime;
  params: unknown;
  user: unknown;
  /** Once it is connected. */
  member: Member | undefined;
  /** Since the connection ended. */
  leftRooms: readonly RoomPath[];
}

/** Gives a handler its context. Set by the class below, whose private field nobody else reaches. */
let give: (handler: AnyHandler, context: HandlerContext) => void;
let given: (handler: AnyHandler) => HandlerContext;

/**
 * One connection, as its user writes it: subclass it, and implement exactly one of `serve`, `onJSON`, `onMessage`.
 *
 * ```ts
 * @Route("/chat/:channel")
 * class Chat extends WebSocketHandler<{ channel: string }> {
 *   onJSON(message: unknown) {
 *     this.sendJSONToThisRoom({ from: this.id, message });
 *   }
 * }
 * ```
 *
 * One instance is made for each connection, during the handshake. `Params` are the route's parameters, `User` is what
 * `authorize` returns.
 */
export abstract class WebSocketHandler<
  Params extends object = Readonly<Record<string, string | undefined>>,
  User = unknown,
> {
  #context: HandlerContext | undefined;

  static {
    give = (handler, context) => {
      if (handler.#context !== undefined) {
        const { name } = handler.constructor;
        const need = "each connection needs one of its own";
        throw new EnfiladeError("ERR_OPTION", `create returned the same instance of ${name} again; ${need}`);
      }
      handler.#context = context;
    };
    given = (handler) => handler.#given();
  }

  /** Reads for itself, in a loop over `this.connection`; when it returns, the connection closes with 1000. */
  serve?(): Promise<void>;

  /**
   * Called with each text message parsed as JSON, one at a time.
   *
   * A method that takes two parameters is also called with `(undefined, error)`: with a `MessageError` for a message
   * that is not JSON, and once with a `ConnectionError` when the connection failed. To one that takes only the message
   * no error is told: what is not JSON then goes to `onError`, or closes the connection with 1007 if there is none.
   */
  onJSON?(message: unknown, error?: Error): unknown;

  /** Called with each text message as it came, one at a time; about errors see {@link onJSON}. */
  onMessage?(text: string | undefined, error?: Error): unknown;

  /** Called with each binary message, beside `onJSON` or `onMessage`; without it a binary message closes with 1003. */
  onBinary?(bytes: Uint8Array): unknown;

  /**
   * Decides whether the client may connect, before the upgrade. What it returns is `this.user`.
   *
   * To refuse, throw `HttpError(401)` or return a `Response`. To accept a client without a user, return `anonymous`.
   * Anything else that is thrown answers 500, and so do `undefined` and every other falsy value, and a user whose `id` is neither a
   * string nor a finite number; past `authorizeMs` the answer is 503. Two handlers may share it by inheritance.
   */
  authorize?(request: ConnectionRequest): Authorized<User>;

  /** Called once the connection is open and in its room. Messages that arrive while it awaits wait for it. */
  onConnect?(): unknown;

  /** Called exactly once for every connection that was opened, after it left its rooms (`this.leftRooms`). */
  onClose?(code: number, reason: string): unknown;

  /**
   * Decides whether this connection may join a room beside its home: asked by `join()`. Only `true` admits it.
   *
   * What it throws, `join()` throws.
   */
  authorizeJoin?(room: Room): boolean | Promise<boolean>;

  /** Called after this connection joined a room beside its home. */
  onRoomJoin?(room: Room): unknown;

  /**
   * Called after this connection left a room beside its home; not when it ends, when `onClose` finds `this.leftRooms`.
   *
   * @param reason That of `room.evict()`, else empty.
   */
  onRoomLeave?(room: Room, reason: string): unknown;

  /** Called when a client that lagged has caught up: what waited for it is handed over. See `DeliveryPolicy`. */
  onDrain?(): unknown;

  /** Called with what another method threw. The connection is being closed for it, unless the method answers an event. */
  onError?(error: Error): unknown;

  /** Unique for each connection. */
  get id(): string {
    return this.#given().id;
  }

  get app(): Application {
    return this.#given().config.app;
  }

  /** The HTTP request that asked for this connection. */
  get request(): ConnectionRequest {
    return this.#given().request;
  }

  /** The query of the request. */
  get query(): URLSearchParams {
    return this.request.query;
  }

  /** The parameters of the route, decoded; as its `params` schema returned them if there is one. */
  get params(): Params {
    // Registration lets a class pass only on a route that yields what the class declares.
    return this.#given().params as Params;
  }

  /** What `authorize` returned, of the handler or else of its scope. */
  get user(): User {
    // `authorize` of this very class is declared to return it.
    return this.#given().user as User;
  }

  /** Aborted when the connection ends, or gives up during the handshake. */
  get signal(): AbortSignal {
    return this.#given().lifetime.signal;
  }

  /** @throws EnfiladeError `ERR_NOT_CONNECTED` during the handshake. */
  get connection(): Connection {
    return connectionOf(memberOf(this));
  }

  /** The room of this connection's path, its home. */
  get room(): Room {
    return this.app.registry.room(this.request.path);
  }

  /** The rooms that this connection is in. */
  get rooms(): Room[] {
    return this.app.registry.roomsOf(this.connection);
  }

  /** The paths of the rooms that were left when the connection ended; empty before. */
  get leftRooms(): readonly RoomPath[] {
    return this.#given().leftRooms;
  }

  /** Sends to this client. */
  sendJSON(value: unknown, options?: DeliveryOptions): void {
    this.#sendHere(Payload.json(value), options);
  }

  sendText(text: string, options?: DeliveryOptions): void {
    this.#sendHere(Payload.text(text), options);
  }

  sendBinary(bytes: Bytes, options?: DeliveryOptions): void {
    this.#sendHere(Payload.binary(bytes), options);
  }

  /** Sends to everyone at this connection's path, this client included unless excepted. */
  sendJSONToThisRoom(value: unknown, options?: SendOptions): void {
    this.#publisher.send(this.request.path, Payload.json(value), options);
  }

  sendTextToThisRoom(text: string, options?: SendOptions): void {
    this.#publisher.send(this.request.path, Payload.text(text), options);
  }

  sendBinaryToThisRoom(bytes: Bytes, options?: SendOptions): void {
    this.#publisher.send(this.request.path, Payload.binary(bytes), options);
  }

  /** Sends to everyone in the room of `path`, or in all rooms of a tree; see {@link Registry.sendJSONToRoom}. */
  sendJSONToRoom(path: string, value: unknown, options?: SendOptions): void {
    this.#publisher.send(this.app.registry.topicOf(path), Payload.json(value), options);
  }

  sendTextToRoom(path: string, text: string, options?: SendOptions): void {
    this.#publisher.send(this.app.registry.topicOf(path), Payload.text(text), options);
  }

  sendBinaryToRoom(path: string, bytes: Bytes, options?: SendOptions): void {
    this.#publisher.send(this.app.registry.topicOf(path), Payload.binary(bytes), options);
  }

  /** Sends to every connection of the app. */
  sendJSONToAll(value: unknown, options?: SendOptions): void {
    this.#publisher.send("all", Payload.json(value), options);
  }

  sendTextToAll(text: string, options?: SendOptions): void {
    this.#publisher.send("all", Payload.text(text), options);
  }

  sendBinaryToAll(bytes: Bytes, options?: SendOptions): void {
    this.#publisher.send("all", Payload.binary(bytes), options);
  }

  /** Sends to every connection of one user, named by id or as `authorize` returned it. */
  sendJSONToUser(user: UserAddress, value: unknown, options?: SendOptions): void {
    this.#publisher.send(userTopic(user), Payload.json(value), options);
  }

  sendTextToUser(user: UserAddress, text: string, options?: SendOptions): void {
    this.#publisher.send(userTopic(user), Payload.text(text), options);
  }

  sendBinaryToUser(user: UserAddress, bytes: Bytes, options?: SendOptions): void {
    this.#publisher.send(userTopic(user), Payload.binary(bytes), options);
  }

  /**
   * Puts this connection in one more room, which needs no route; see {@link Registry.join}.
   *
   * Returns a promise if `authorizeJoin` does; else it has joined when this returns.
   */
  join(path: string): Promise<void> | undefined {
    return this.app.registry.join(this.connection, path);
  }

  leave(path: string): void {
    this.app.registry.leave(this.connection, path);
  }

  /** Leaves every room, the home included. */
  leaveAll(): void {
    this.app.registry.leaveAll(this.connection);
  }

  /**
   * Sends this client the presence of a room it is in, and from then on who comes and goes, as
   * `{"type": "presence", "room", "version", "count", "users"}`, then with `joined` and `left` in place of `users`.
   *
   * @param path Default: this room.
   * @throws EnfiladeError `ERR_PRESENCE` when the room's route has no `presence`, or this client is not in it.
   */
  watchPresence(path: string = this.request.path): void {
    this.app.registry.watchPresence(this.connection, path);
  }

  /** Closes this connection; see {@link Connection.close}. */
  close(code?: number, reason?: string): void {
    this.connection.close(code, reason);
  }

  /** To this client; where the call names no policy, that of its route counts. */
  #sendHere(payload: Payload, options: DeliveryOptions | undefined): void {
    memberOf(this).send(payload, policyOf(options) ?? this.#given().config.policy);
  }

  get #publisher(): Publisher {
    return this.#given().config.publisher;
  }

  #given(): HandlerContext {
    if (this.#context === undefined) {
      throw new EnfiladeError(
        "ERR_NOT_CONNECTED",
        "a handler is made by the app, and knows its request only after its constructor; use authorize or onConnect",
      );
    }
    return this.#context;
  }
}

/** A handler of whatever parameters and user. */
export type AnyHandler = WebSocketHandler<object, unknown>;

/** @internal Binds a handler that was just made to its connection to be. */
export function bind(handler: AnyHandler, context: HandlerContext): void {
  give(handler, context);
}

/** @internal What a handler has in common with those of its route. */
export function configOf(handler: AnyHandler): HandlerConfig {
  return given(handler).config;
}

/** @internal Throws `ERR_NOT_CONNECTED` during the handshake. */
export function memberOf(handler: AnyHandler): Member {
  const { member } = given(handler);
  if (member !== undefined) return member;
  throw new EnfiladeError("ERR_NOT_CONNECTED", "there is no connection before the upgrade; use onConnect");
}
