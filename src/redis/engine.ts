import { randomBytes } from "node:crypto";
import type { HistoryQuery } from "../backplane/backplane.js";
import type {
  Engine,
  EngineEvents,
  EngineHistoryPage,
  EngineRoom,
  EngineTop,
  PublicationId,
} from "../cluster/engine.js";
import { asError } from "../errors.js";
import { epochAt, type Position } from "../wire/position.js";
import { epochsOf, flag, listOf, numberOf, offsetOf, positionOf } from "./answers.js";
import { claimScripts, RedisClaims } from "./claims.js";
import type { RedisClient } from "./client.js";
import { appendScript, confirmScript, readScript, renumberScript, topScript } from "./scripts.js";

/** One connection for commands and one for subscriptions; replaced on a restart. In a cluster, one client is both. */
export interface RedisPair {
  readonly commands: RedisClient;
  readonly subscriber: RedisClient;
  /** The number of the database. */
  readonly database: number;
}

export interface RedisEngineDeps {
  /** The start of every key and channel. */
  readonly prefix: string;
  /** Whether Redis keeps every acknowledged write over a restart. */
  readonly durable: boolean;
  /** Opens connections that queue no commands and reconnect by themselves. */
  readonly connect: () => RedisPair;
}

/** Milliseconds that the position of a room is kept after its last publication could be read. */
const positionMs = 600_000;
/** Ages above this, about a hundred years, have no limit. */
const ageMsForever = 3e12;
/** The first byte of a message with a position; other messages and signals begin with `{`. */
const positionMark = 0x70;
const lineEnd = 10;
/** The name of errors that Redis answered with. */
const replyError = "ReplyError";

const noInfo =
  "the user may not call INFO, so a restart of Redis could stay unnoticed; grant it +info, or pass { durable: true } " +
  "to redis() if Redis keeps every write over a restart";

/** Redis or Valkey: a log for each room with history, and pub/sub. */
export class RedisEngine implements Engine {
  readonly name = "redis";
  readonly appendMax = 128;
  readonly claims = new RedisClaims({
    run: (script, keys, args) => this.#run(script, keys, args),
    keyOf: (name) => this.#key(name),
  });
  readonly #deps: RedisEngineDeps;
  #events: EngineEvents | undefined;
  #pair: RedisPair | undefined;
  /** The hashes of the scripts that are loaded, by their text. */
  readonly #shas = new Map<string, string>();
  /** Identifies this engine in the scripts. */
  readonly #id = randomBytes(9).toString("base64url");
  /** The number of calls of {@link append}. */
  #calls = 0;
  #isCluster = false;
  #lastError: Error | undefined;

  constructor(deps: RedisEngineDeps) {
    this.#deps = deps;
  }

  start(events: EngineEvents): void {
    this.#events = events;
    this.#open();
  }

  restart(reason: Error): void {
    if (this.#pair === undefined) return;
    this.#events?.onDown(reason);
    this.#drop();
    this.#open();
  }

  subscribe(channels: readonly string[]): Promise<unknown> {
    const { subscriber } = this.#connected;
    const names = channels.map((channel) => this.#channel(channel));
    if (!subscriber.isCluster) return subscriber.subscribe(...names);
    // The channels of one command have to be of one slot.
    return Promise.all(names.map((name) => subscriber.ssubscribe(name)));
  }

  unsubscribe(channels: readonly string[]): Promise<unknown> {
    const { subscriber } = this.#connected;
    const names = channels.map((channel) => this.#channel(channel));
    if (!subscriber.isCluster) return subscriber.unsubscribe(...names);
    return Promise.all(names.map((name) => subscriber.sunsubscribe(name)));
  }

  publish(channel: string, bytes: Uint8Array): Promise<unknown> {
    const { commands } = this.#connected;
    const name = this.#channel(channel);
    return commands.isCluster ? commands.spublish(name, asBuffer(bytes)) : commands.publish(name, asBuffer(bytes));
  }

  async append(room: EngineRoom, publications: readonly Uint8Array[], id?: PublicationId): Promise<Position> {
    const { path, history } = room;
    const { size, bytesMax } = history;
    this.#calls += 1;
    const publish = this.#connected.commands.isCluster ? "SPUBLISH" : "PUBLISH";
    const keys = [...this.#keys(path), `${this.#key(path)}:ids`, this.#channel(path)];
    const limits = [numberOf(size), numberOf(bytesMax)];
    const ids = [id?.id ?? "", numberOf(id?.idsMax ?? 0), numberOf(id?.idsMs ?? 0)];
    const args = [...this.#commonArgs(room), ...limits, publish, this.#id, String(this.#calls), ...ids];
    const answer = await this.#run(appendScript, keys, [...args, ...publications.map(asBuffer)]);
    const position = positionOf(answer);
    const [, , past] = listOf(answer);
    // What was published before may be of an older epoch.
    return past === undefined ? position : { ...position, epoch: epochAt(epochsOf(past), position.offset) };
  }

  async read(room: EngineRoom, { since, limit, bytesMax }: HistoryQuery): Promise<EngineHistoryPage> {
    const mode = since === undefined ? "last" : "after";
    const query = [mode, String(since?.offset ?? 0), since?.epoch ?? ""];
    const most = [Number.isFinite(limit) ? String(limit) : "-1", numberOf(bytesMax ?? Number.POSITIVE_INFINITY)];
    const answer = await this.#run(readScript, this.#keys(room.path), [...this.#commonArgs(room), ...query, ...most]);
    const [, , past, list] = listOf(answer);
    const flat = listOf(list);
    const entries = Array.from({ length: flat.length / 2 }, (_, index) => ({
      offset: offsetOf(flat[2 * index]),
      bytes: asBuffer(flat[2 * index + 1]),
    }));
    return {
      top: positionOf(answer),
      epochs: epochsOf(past),
      entries: mode === "last" ? entries.reverse() : entries,
    };
  }

  async top(room: EngineRoom): Promise<EngineTop> {
    const answer = await this.#run(topScript, this.#keys(room.path), this.#commonArgs(room));
    return { top: positionOf(answer), epochs: epochsOf(listOf(answer)[2]) };
  }

  confirmLost(room: EngineRoom, epoch: string, lost: number): Promise<unknown> {
    return this.#run(confirmScript, this.#keys(room.path), [...this.#commonArgs(room), epoch, String(lost)]);
  }

  renumber(room: EngineRoom, { epoch, offset }: Position): Promise<unknown> {
    return this.#run(renumberScript, this.#keys(room.path), [...this.#commonArgs(room), epoch, String(offset)]);
  }

  get isPipelined(): boolean {
    // The client of a cluster sends a redirected command again, behind later ones.
    return !this.#isCluster;
  }

  refuses({ name }: Error): boolean {
    return name === replyError;
  }

  async stop(): Promise<void> {
    const clients = this.#clients();
    this.#events = undefined;
    this.#pair = undefined;
    // A client that waits for its next attempt emits no `end`.
    const open = clients.filter(({ status }) => status === "ready" || status === "connect");
    const ended = open.map((client) => new Promise<void>((resolve) => client.once("end", resolve)));
    for (const client of clients) client.disconnect();
    await Promise.all(ended);
  }

  get #connected(): RedisPair {
    if (this.#pair !== undefined) return this.#pair;
    throw new Error("redis: the engine is not started; call start() first");
  }

  #clients(): RedisClient[] {
    return this.#pair === undefined ? [] : [...new Set([this.#pair.commands, this.#pair.subscriber])];
  }

  #open(): void {
    const pair = this.#deps.connect();
    this.#pair = pair;
    this.#isCluster = pair.commands.isCluster;
    const ready = new Set<RedisClient>();
    for (const client of this.#clients()) {
      client.on("error", (error: Error) => {
        this.#lastError = error;
      });
      client.on("ready", () => {
        ready.add(client);
        this.#lastError = undefined;
        if (this.#clients().every((one) => ready.has(one))) this.#onReady(pair);
      });
      client.on("close", () => {
        ready.delete(client);
        this.#onClose(pair);
      });
    }
    const event = pair.subscriber.isCluster ? "smessageBuffer" : "messageBuffer";
    pair.subscriber.on(event, (name: Buffer, message: Buffer) => this.#onMessage(pair, name, message));
  }

  #drop(): void {
    for (const client of this.#clients()) {
      client.removeAllListeners();
      // An error of the dropped connection does not matter, but without a listener it would be thrown.
      client.on("error", () => undefined);
      client.disconnect();
    }
    this.#pair = undefined;
  }

  #onReady(pair: RedisPair): void {
    this.#loadScripts(pair)
      // A user without the right to load scripts can still send them with each call.
      .catch(() => this.#shas.clear())
      .finally(() => {
        if (this.#pair === pair && this.#clients().every(({ status }) => status === "ready")) this.#events?.onUp();
      });
  }

  /** Loads the scripts in advance: a command that is sent twice could be overtaken by a later one. */
  async #loadScripts({ commands }: RedisPair): Promise<void> {
    this.#shas.clear();
    // In a cluster, each node would have to load them.
    if (commands.isCluster) return;
    const scripts = [appendScript, readScript, topScript, confirmScript, renumberScript, ...claimScripts];
    const shas = await Promise.all(scripts.map((script) => commands.script("LOAD", script)));
    for (const [index, script] of scripts.entries()) this.#shas.set(script, String(shas[index]));
  }

  #onClose(pair: RedisPair): void {
    if (this.#pair !== pair) return;
    this.#events?.onDown(this.#lastError ?? new Error("the connection to Redis was closed"));
  }

  async #run(script: string, keys: readonly string[], args: readonly (string | Buffer)[]): Promise<unknown> {
    const { commands } = this.#connected;
    const sha = this.#shas.get(script);
    const rest = [String(keys.length), ...keys, ...args];
    try {
      if (sha === undefined) return await commands.callBuffer("EVAL", script, ...rest);
      return await commands.callBuffer("EVALSHA", sha, ...rest);
    } catch (error) {
      const { message } = asError(error);
      // The server's scripts were flushed: nothing has been done, and EVAL loads the script again.
      if (sha !== undefined && message.startsWith("NOSCRIPT")) return commands.callBuffer("EVAL", script, ...rest);
      if (message.startsWith("NOINFO")) throw Object.assign(new Error(noInfo), { name: replyError });
      throw error;
    }
  }

  #onMessage(pair: RedisPair, name: Buffer, message: Buffer): void {
    if (this.#pair !== pair) return;
    const channel = name.toString().slice(this.#channel("").length - 1, -1);
    if (message[0] !== positionMark) {
      this.#events?.onMessage(channel, message, undefined);
      return;
    }
    const end = message.indexOf(lineEnd);
    const [, epoch, digits] = /^p([\w-]{1,64}):(\d{1,16})$/.exec(message.toString("latin1", 0, Math.max(0, end))) ?? [];
    if (epoch === undefined) this.#events?.onMalformed(channel);
    else this.#events?.onMessage(channel, message.subarray(end + 1), { epoch, offset: Number(digits) });
  }

  /** Pub/sub ignores numbered databases, so the channel name contains the number. */
  #channel(name: string): string {
    const database = this.#pair?.database ?? 0;
    return this.#key(name, database === 0 ? "" : `${database}:`);
  }

  /** In braces: in a cluster, everything of a room is then in one slot. */
  #key(name: string, database = ""): string {
    return `${this.#deps.prefix}${database}{${name}}`;
  }

  #keys(path: string): string[] {
    return [`${this.#key(path)}:meta`, `${this.#key(path)}:log`];
  }

  /** The first arguments of every script. They include a part of the id of a new epoch, in case one begins. */
  #commonArgs({ history: { ageMsMax }, seen }: EngineRoom): string[] {
    const age = ageMsMax > ageMsForever ? "-1" : String(Math.ceil(ageMsMax));
    const unique = randomBytes(6).toString("base64url");
    const { epoch = "", offset = 0 } = seen ?? {};
    return [unique, age, String(positionMs), flag(this.#deps.durable), epoch, String(offset)];
  }
}

function asBuffer(bytes: unknown): Buffer {
  if (bytes instanceof Uint8Array) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  throw new Error(`redis: expected bytes, got ${typeof bytes}`);
}
