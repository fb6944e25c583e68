import { isRoom, isTree, patternOf, type Topic, type UserAddress, userTopic } from "../backplane/topic.js";
import { jsonEvents } from "../wire/events/jsonEvents.js";
import type { RoomPath } from "../wire/path.js";
import { type Bytes, Payload } from "../wire/payload.js";
import type { SendOptions } from "./address.js";
import type { Publisher } from "./publisher.js";
import { defaultRoomConfig, type RoomConfig } from "./roomConfig.js";

/** Sends by name from any code of the server. */
export abstract class Sender {
  /** @internal The way of every publication. */
  abstract readonly publisher: Publisher;

  /** @internal The canonical path of a room. */
  abstract pathOf(path: string): RoomPath;

  /** @internal */
  abstract configOf(path: RoomPath): RoomConfig;

  /**
   * Sends to everyone in the room of `path`. Sending to an empty room does nothing.
   *
   * `/org/7/**` addresses the room `/org/7` and all below it, each connection once; in the history of a room such a
   * message is not kept.
   *
   * @throws EnfiladeError `ERR_PATH` when `path` is no room path, `ERR_VALUE` when JSON has no form for `value`.
   */
  sendJSONToRoom(path: string, value: unknown, options?: SendOptions): void {
    this.send(this.topicOf(path), Payload.json(value), options);
  }

  sendTextToRoom(path: string, text: string, options?: SendOptions): void {
    this.send(this.topicOf(path), Payload.text(text), options);
  }

  sendBinaryToRoom(path: string, bytes: Bytes, options?: SendOptions): void {
    this.send(this.topicOf(path), Payload.binary(bytes), options);
  }

  sendJSONToAll(value: unknown, options?: SendOptions): void {
    this.send("all", Payload.json(value), options);
  }

  sendTextToAll(text: string, options?: SendOptions): void {
    this.send("all", Payload.text(text), options);
  }

  sendBinaryToAll(bytes: Bytes, options?: SendOptions): void {
    this.send("all", Payload.binary(bytes), options);
  }

  sendJSONToUser(user: UserAddress, value: unknown, options?: SendOptions): void {
    this.send(userTopic(user), Payload.json(value), options);
  }

  sendTextToUser(user: UserAddress, text: string, options?: SendOptions): void {
    this.send(userTopic(user), Payload.text(text), options);
  }

  sendBinaryToUser(user: UserAddress, bytes: Bytes, options?: SendOptions): void {
    this.send(userTopic(user), Payload.binary(bytes), options);
  }

  /**
   * Sends an event to everyone in the room of `path`, or in all rooms of a tree, as a handler's `emitToRoom` does.
   *
   * @throws EnfiladeError `ERR_PATH`, `ERR_VALUE`.
   */
  emitToRoom(path: string, event: string, data?: unknown, options?: SendOptions): void {
    const topic = this.topicOf(path);
    const { eventProtocol, eventPolicies } = isRoom(topic) ? this.configOf(topic) : defaultRoomConfig;
    const payload = Payload.event({ kind: "event", event, data, channel: this.addressOf(path) }, eventProtocol);
    this.send(topic, payload, { ...options, policy: options?.policy ?? eventPolicies.get(event) });
  }

  emitToUser(user: UserAddress, event: string, data?: unknown, options?: SendOptions): void {
    this.send(userTopic(user), Payload.event({ kind: "event", event, data }, jsonEvents), options);
  }

  emitToAll(event: string, data?: unknown, options?: SendOptions): void {
    this.send("all", Payload.event({ kind: "event", event, data }, jsonEvents), options);
  }

  /** @internal The canonical form of what {@link sendJSONToRoom} takes. */
  addressOf(path: string): string {
    const topic = this.topicOf(path);
    return isTree(topic) ? patternOf(topic) : topic;
  }

  /** @internal What a path addresses as its caller writes it: a room, or with `/**` behind it that room and all below. */
  topicOf(path: string): Topic {
    if (typeof path !== "string" || !path.endsWith("/**") || path.endsWith("//**")) return this.pathOf(path);
    return `below:${this.pathOf(path.slice(0, -3) || "/")}`;
  }

  /** @internal */
  send(topic: Topic, payload: Payload, options: SendOptions | undefined): void {
    this.publisher.send(topic, payload, options);
  }
}
