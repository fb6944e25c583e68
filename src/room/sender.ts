import { isRoom, isTree, patternOf, type Topic, type UserAddress, userTopic } from "../backplane/topic.js";
import { jsonEvents } from "../wire/events/jsonEvents.js";
import type { RoomPath } from "../wire/path.js";
import { type Bytes, Payload } from "../wire/payload.js";
import type { SendOptions } from "./address.js";
import type { Publisher } from "./publisher.js";
import { defaultRoomConfig, type RoomConfig } from "./roomConfig.js";

/** Sends to rooms and users by name, from any server code. */
export abstract class Sender {
  /** @internal */
  abstract readonly publisher: Publisher;

  /** @internal The canonical path of a room. */
  abstract pathOf(path: string): RoomPath;

  /** @internal */
  abstract configOf(path: RoomPath): RoomConfig;

  /**
   * Sends `value` as JSON to all connections in a room, on all nodes. Sending to an empty room does nothing.
   *
   * `/org/7/**` addresses a tree: the room `/org/7` and all rooms below it. Each connection gets the message once. No
   * history keeps a message to a tree.
   *
   * @throws EnfiladeError `ERR_PATH` when `path` is not a room path, `ERR_VALUE` when JSON cannot encode `value`,
   *   `ERR_OPTION` for an invalid option.
   */
  sendJSONToRoom(path: string, value: unknown, options?: SendOptions): void {
    this.send(this.topicOf(path), Payload.json(value), options);
  }

  /** Sends a text message to a room or a tree; see {@link sendJSONToRoom}. */
  sendTextToRoom(path: string, text: string, options?: SendOptions): void {
    this.send(this.topicOf(path), Payload.text(text), options);
  }

  /** Sends a binary message to a room or a tree; see {@link sendJSONToRoom}. */
  sendBinaryToRoom(path: string, bytes: Bytes, options?: SendOptions): void {
    this.send(this.topicOf(path), Payload.binary(bytes), options);
  }

  /** Sends `value` as JSON to every connection of the app, on all nodes. */
  sendJSONToAll(value: unknown, options?: SendOptions): void {
    this.send("all", Payload.json(value), options);
  }

  /** Sends a text message to every connection of the app, on all nodes. */
  sendTextToAll(text: string, options?: SendOptions): void {
    this.send("all", Payload.text(text), options);
  }

  /** Sends a binary message to every connection of the app, on all nodes. */
  sendBinaryToAll(bytes: Bytes, options?: SendOptions): void {
    this.send("all", Payload.binary(bytes), options);
  }

  /**
   * Sends `value` as JSON to every connection of one user, named by id or as `authorize` returned it.
   *
   * @throws EnfiladeError `ERR_USER` when `user` has no id that is a string or a finite number; `ERR_VALUE`.
   */
  sendJSONToUser(user: UserAddress, value: unknown, options?: SendOptions): void {
    this.send(userTopic(user), Payload.json(value), options);
  }

  /** Sends a text message to every connection of one user; see {@link sendJSONToUser}. */
  sendTextToUser(user: UserAddress, text: string, options?: SendOptions): void {
    this.send(userTopic(user), Payload.text(text), options);
  }

  /** Sends a binary message to every connection of one user; see {@link sendJSONToUser}. */
  sendBinaryToUser(user: UserAddress, bytes: Bytes, options?: SendOptions): void {
    this.send(userTopic(user), Payload.binary(bytes), options);
  }

  /**
   * Sends an event to a room or a tree, in the event protocol of its route, as `emitToRoom` of an `EventHandler` does.
   *
   * @throws EnfiladeError `ERR_PATH` when `path` is not a room path, `ERR_VALUE` when `data` cannot be encoded.
   */
  emitToRoom(path: string, event: string, data?: unknown, options?: SendOptions): void {
    const topic = this.topicOf(path);
    const { eventProtocol, eventPolicies } = isRoom(topic) ? this.configOf(topic) : defaultRoomConfig;
    const payload = Payload.event({ kind: "event", event, data, channel: this.addressOf(path) }, eventProtocol);
    this.send(topic, payload, { ...options, policy: options?.policy ?? eventPolicies.get(event) });
  }

  /** Sends an event to every connection of one user; see {@link sendJSONToUser}. */
  emitToUser(user: UserAddress, event: string, data?: unknown, options?: SendOptions): void {
    this.send(userTopic(user), Payload.event({ kind: "event", event, data }, jsonEvents), options);
  }

  /** Sends an event to every connection of the app, on all nodes. */
  emitToAll(event: string, data?: unknown, options?: SendOptions): void {
    this.send("all", Payload.event({ kind: "event", event, data }, jsonEvents), options);
  }

  /** @internal The canonical form of the path of a room or the pattern of a tree. */
  addressOf(path: string): string {
    const topic = this.topicOf(path);
    return isTree(topic) ? patternOf(topic) : topic;
  }

  /** @internal The topic of a room's path or, if it ends with `/**`, of a tree. */
  topicOf(path: string): Topic {
    if (typeof path !== "string" || !path.endsWith("/**") || path.endsWith("//**")) return this.pathOf(path);
    return `below:${this.pathOf(path.slice(0, -3) || "/")}`;
  }

  /** @internal */
  send(topic: Topic, payload: Payload, options: SendOptions | undefined): void {
    this.publisher.send(topic, payload, options);
  }
}
