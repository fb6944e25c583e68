import { randomBytes } from "node:crypto";
import type { HistoryConfig, HistoryQuery } from "../backplane/backplane.js";
import type { Engine, EngineEvents, EngineHistoryPage, EngineRoom } from "../cluster/engine.js";
import type { RoomPath } from "../wire/path.js";
import type { Position } from "../wire/position.js";
import type { RedisClient } from "./client.js";
import { appendScript, readScript, topScript } from "./scripts.js";

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
  /** Opens connections that queue no commands and reconnect by themselves. */
  readonly connect: () => RedisPair;
}

/** Milliseconds that the position of a room is kept after its last publication. */
const positionMs = 3_600_000;
/** Ages above this, about a hundred years, have no limit. */
const ageMsForever = 3e12;
/** The first byte of a message with a position; other messages and signals begin with `{`. */
const positionMark = 0x70;
const lineEnd = 10;

/** Redis or Valkey: a log for each room with history, and pub/sub. */
export class RedisEngine implements Engine {
  readonly name = "redis";
  readonly appendMax = 128;
  readonly #deps: RedisEngineDeps;
  #events: EngineEvents | undefined;
  #pair: RedisPair | undefined;
  /** The hashes of the scripts that are loaded, by their text. */
  readonly #shas = new Map<string, string>();
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

  async append({ path, history }: EngineRoom, publications: readonly Uint8Array[]): Promise<Position> {
    const { size, bytesMax } = history;
    const publish = this.#connected.commands.isCluster ? "SPUBLISH" : "PUBLISH";
    const keys = [...this.#keys(path), this.#channel(path)];
    const args = [...commonArgs(history), numberOf(size), numberOf(bytesMax), publish];
    return positionOf(await this.#run(appendScript, keys, [...args, ...publications.map(asBuffer)]));
  }

  async read(path: RoomPath, { since, limit }: HistoryQuery, history: HistoryConfig): Promise<EngineHistoryPage> {
    const mode = since === undefined ? "last" : "after";
    const most = Number.isFinite(limit) ? String(limit) : "-1";
    const query = [mode, since?.epoch ?? "", String(since?.offset ?? 0), most];
    const answer = await this.#run(readScript, this.#keys(path), [...commonArgs(history), ...query]);
    const [, , base, list] = listOf(answer);
    const flat = listOf(list);
    const entries = Array.from({ length: flat.length / 2 }, (_, index) => ({
      offset: Number.parseInt(String(flat[2 * index]), 10),
      bytes: asBuffer(flat[2 * index + 1]),
    }));
    const top = positionOf(answer);
    const epochs = [{ epoch: top.epoch, base: Number(base), lost: undefined }];
    return { top, epochs, entries: mode === "last" ? entries.reverse() : entries };
  }

  async top({ path, history }: EngineRoom): Promise<Position> {
    return positionOf(await this.#run(topScript, this.#keys(path), commonArgs(history)));
  }

  refuses({ name }: Error): boolean {
    return name === "ReplyError";
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
    const scripts = [appendScript, readScript, topScript];
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
    if (sha === undefined) return commands.callBuffer("EVAL", script, ...rest);
    try {
      return await commands.callBuffer("EVALSHA", sha, ...rest);
    } catch (error) {
      // The server's scripts were flushed: nothing has been done, and EVAL loads the script again.
      if (!(error instanceof Error && error.message.startsWith("NOSCRIPT"))) throw error;
      return commands.callBuffer("EVAL", script, ...rest);
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

  #keys(path: RoomPath): string[] {
    return [`${this.#key(path)}:meta`, `${this.#key(path)}:log`];
  }
}

/** The first arguments of every script: a new epoch, in case there is none, and how long things are kept. */
function commonArgs({ ageMsMax }: HistoryConfig): string[] {
  const age = ageMsMax > ageMsForever ? "-1" : String(Math.ceil(ageMsMax));
  return [randomBytes(9).toString("base64url"), age, String(positionMs)];
}

function numberOf(limit: number): string {
  return String(Math.min(Math.floor(limit), Number.MAX_SAFE_INTEGER));
}

function positionOf(answer: unknown): Position {
  const [epoch, offset] = listOf(answer);
  return { epoch: String(epoch), offset: Number(offset) };
}

function listOf(answer: unknown): readonly unknown[] {
  if (Array.isArray(answer)) return answer;
  throw new Error(`redis: a script must answer with a list, got ${typeof answer}`);
}

function asBuffer(bytes: unknown): Buffer {
  if (bytes instanceof Uint8Array) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  throw new Error(`redis: expected bytes, got ${typeof bytes}`);
}
