import type { Redis } from "ioredis";

export interface Todo {
  readonly id: string;
  readonly title: string;
  readonly isDone: boolean;
  /** When it was added: ISO 8601. */
  readonly at: string;
}

/** Where to-dos are stored. Any database can take this place. */
export interface TodoStore {
  list(): Promise<Todo[]>;
  find(id: string): Promise<Todo | undefined>;
  /** Adds a to-do, or replaces the one with this id. */
  put(todo: Todo): Promise<void>;
  /** Resolves with `false` if there is no to-do with this id. */
  remove(id: string): Promise<boolean>;
}

/** Stores to-dos in this process. */
export class MemoryTodos implements TodoStore {
  readonly #todos = new Map<string, Todo>();

  async list(): Promise<Todo[]> {
    return [...this.#todos.values()];
  }

  async find(id: string): Promise<Todo | undefined> {
    return this.#todos.get(id);
  }

  async put(todo: Todo): Promise<void> {
    this.#todos.set(todo.id, todo);
  }

  async remove(id: string): Promise<boolean> {
    return this.#todos.delete(id);
  }
}

const key = "example:todos";

/** Stores to-dos in Redis, for all processes. */
export class RedisTodos implements TodoStore {
  readonly #redis: Pick<Redis, "hgetall" | "hget" | "hset" | "hdel">;

  constructor(redis: Pick<Redis, "hgetall" | "hget" | "hset" | "hdel">) {
    this.#redis = redis;
  }

  async list(): Promise<Todo[]> {
    const todos = Object.values(await this.#redis.hgetall(key)).map(parse);
    return todos.sort((a, b) => a.at.localeCompare(b.at));
  }

  async find(id: string): Promise<Todo | undefined> {
    const text = await this.#redis.hget(key, id);
    return text === null ? undefined : parse(text);
  }

  async put(todo: Todo): Promise<void> {
    await this.#redis.hset(key, todo.id, JSON.stringify(todo));
  }

  async remove(id: string): Promise<boolean> {
    return (await this.#redis.hdel(key, id)) > 0;
  }
}

function parse(text: string): Todo {
  // Only `put` writes to this key.
  return JSON.parse(text) as Todo;
}
