/** Publications that a room keeps. */
const historyMax = 20;

interface ModelRoom {
  readonly members: Set<string>;
  history: string[];
}

/** Rooms as simple as they can be: who is in them, what they keep, and what each client has received, in order. */
export class RoomModel {
  readonly #rooms = new Map<string, ModelRoom>();
  readonly #clients = new Map<string, { readonly home: string; readonly user: string; readonly received: string[] }>();

  connect(client: string, home: string, user: string): void {
    this.#clients.set(client, { home, user, received: [] });
    this.join(client, home);
  }

  join(client: string, path: string): void {
    this.#room(path).members.add(client);
  }

  leave(client: string, path: string): void {
    this.#room(path).members.delete(client);
  }

  disconnect(client: string): void {
    for (const { members } of this.#rooms.values()) members.delete(client);
    this.#clients.delete(client);
  }

  /** To the home of the client, whether it is still in it or not. */
  say(client: string, text: string): void {
    const room = this.#room(this.#clients.get(client)?.home ?? "");
    for (const member of room.members) this.#clients.get(member)?.received.push(text);
    room.history = [...room.history, text].slice(-historyMax);
  }

  roomsOf(client: string): number {
    return [...this.#rooms.values()].filter(({ members }) => members.has(client)).length;
  }

  /** The texts since the last call. */
  takeReceived(client: string): string[] {
    return this.#clients.get(client)?.received.splice(0) ?? [];
  }

  view(path: string) {
    const { members, history } = this.#room(path);
    const users = new Set([...members].map((member) => this.#clients.get(member)?.user));
    return { members: members.size, history, users: [...users].toSorted() };
  }

  #room(path: string): ModelRoom {
    const room = this.#rooms.get(path) ?? { members: new Set(), history: [] };
    this.#rooms.set(path, room);
    return room;
  }
}
