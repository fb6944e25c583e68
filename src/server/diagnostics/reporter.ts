import type { Delivery } from "../../backplane/delivery.js";
import { isRoom, isTree, patternOf, type Topic } from "../../backplane/topic.js";
import { type Connection, connectionOf } from "../../connection/connection.js";
import type { Peer } from "../../connection/peer.js";
import type { Refusal } from "../../connection/transport.js";
import { channels, type PeerObserver, trace, traces } from "../../diagnostics.js";
import type { CloseInfo } from "../../errors.js";
import type { Application } from "../../handler/application.js";
import type { Member, Resumption } from "../../protocol/dialect.js";
import type { ResumptionObserver } from "../../room/history/catchUps.js";
import type { PublicationObserver, Publish } from "../../room/publisher.js";
import type { Message } from "../../wire/message.js";
import type { Payload } from "../../wire/payload.js";
import type { Position } from "../../wire/position.js";
import type { DiagnosticMessages, OutgoingContent, PublicationTarget, RefusedRequest, TraceSpans } from "./messages.js";
import { MessageTaps } from "./messageTaps.js";

/**
 * Publishes the reports of one app on its diagnostics channels, and passes messages on to its taps. A method is called
 * only when its channel has subscribers, or a tap may match.
 */
export class Reporter implements PeerObserver<Peer, Message, Payload>, PublicationObserver, ResumptionObserver {
  readonly messageTaps = new MessageTaps();
  readonly #app: Application;

  constructor(app: Application) {
    this.#app = app;
  }

  watchesTopic(topic: Topic): boolean {
    return this.messageTaps.watchesTopic(topic);
  }

  onOpened(peer: Peer): void {
    const opened: DiagnosticMessages["enfilade:connection:open"] = { app: this.#app, connection: connectionOf(peer) };
    channels.opened.publish(opened);
  }

  onClosed(peer: Peer, { code, reason, isClean, by }: CloseInfo): void {
    const connection = connectionOf(peer);
    const closed: DiagnosticMessages["enfilade:connection:close"] = {
      app: this.#app,
      connection,
      code,
      reason,
      isClean,
      by,
    };
    channels.closed.publish(closed);
  }

  onMessageIn(peer: Peer, message: Message): void {
    const connection = connectionOf(peer);
    this.messageTaps.onMessageIn(connection, message);
    if (!channels.messageIn.hasSubscribers) return;
    const received: DiagnosticMessages["enfilade:message:in"] = { app: this.#app, connection, message };
    channels.messageIn.publish(received);
  }

  onMessageOut(peer: Peer, payload: Payload, bytes: number, room: string | undefined): void {
    const connection = connectionOf(peer);
    this.messageTaps.onMessageOut(connection, payload, room);
    if (!channels.messageOut.hasSubscribers) return;
    const { kind, data } = payload;
    const sent: DiagnosticMessages["enfilade:message:out"] = { app: this.#app, connection, kind, data, bytes, room };
    channels.messageOut.publish(sent);
  }

  observe(topic: Topic, delivery: Delivery, publish: Publish): Promise<Position | undefined> {
    const position = traces.publish.hasSubscribers ? this.#tracePublish(topic, delivery, publish) : publish();
    if (!channels.published.hasSubscribers) return position;
    position.then(
      (at) => this.#onPublished(topic, delivery, at),
      // The sender of the publication receives its error.
      () => undefined,
    );
    return position;
  }

  #tracePublish(topic: Topic, delivery: Delivery, publish: Publish): Promise<Position | undefined> {
    const begunAt = this.#app.registry.clock.now();
    const span: TraceSpans["enfilade:publish"] = { app: this.#app, begunAt, ...publicationOf(topic, delivery) };
    return trace(traces.publish, span, publish, undefined, []);
  }

  #onPublished(topic: Topic, delivery: Delivery, position: Position | undefined): void {
    const publication = publicationOf(topic, delivery);
    const published: DiagnosticMessages["enfilade:publish"] = { app: this.#app, ...publication, position };
    channels.published.publish(published);
  }

  onRefused(request: RefusedRequest, { status, reason }: Refusal): void {
    const refused: DiagnosticMessages["enfilade:refuse"] = { app: this.#app, request, status, reason };
    channels.refused.publish(refused);
  }

  onResumed(member: Member, { position, recovered = false, reason, missed }: Resumption): void {
    const resumed: DiagnosticMessages["enfilade:resume"] = {
      app: this.#app,
      connection: connectionOf(member),
      recovered,
      reason,
      missed,
      position,
    };
    channels.resumed.publish(resumed);
  }

  onError(error: Error, connection: Connection | undefined): void {
    const failed: DiagnosticMessages["enfilade:error"] = { app: this.#app, error, connection };
    channels.failed.publish(failed);
  }
}

interface PublicationReport extends OutgoingContent {
  readonly to: PublicationTarget;
  readonly kept: boolean;
}

function publicationOf(topic: Topic, { payload, history }: Delivery): PublicationReport {
  const { kind, data } = payload;
  return { to: targetOf(topic), kind, data, kept: history !== undefined };
}

function targetOf(topic: Topic): PublicationTarget {
  if (isRoom(topic)) return { kind: "room", path: topic };
  if (isTree(topic)) return { kind: "rooms", pattern: patternOf(topic) };
  if (topic === "all") return { kind: "all" };
  const name = topic.slice(topic.indexOf(":") + 1);
  return topic.startsWith("user:") ? { kind: "user", id: name } : { kind: "channel", name };
}
