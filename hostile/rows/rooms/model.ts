import { jsonFrame } from "../../clients/frames.js";
import { RawSocket } from "../../clients/rawSocket.js";
import type { Row, Scene } from "../../scene.js";
import type { ServerProcess } from "../../serverProcess.js";
import { RoomModel } from "./roomModel.js";

const clientsMax = 12;
const roomsMax = 5;
const usersMax = 6;
/** Commands between two comparisons. */
const batch = 50;

interface ServerFrame {
  readonly type: string;
  readonly id?: unknown;
  readonly data?: unknown;
}

/** A client that sends one command, and waits for its reply. */
class Commander {
  readonly received: string[] = [];
  #ids = 0;

  constructor(readonly socket: RawSocket) {}

  async ask(event: string, data: string): Promise<unknown> {
    this.#ids += 1;
    const id = this.#ids;
    this.socket.write(jsonFrame({ type: "event", event, data, id }));
    for (;;) {
      const one = JSON.parse(await this.socket.nextText()) as ServerFrame;
      if (one.type === "message") this.received.push(String(one.data));
      if (one.type === "reply" && one.id === id) return one.data;
    }
  }
}

/** The same commands to the server and to the model, one after another. */
class Session {
  readonly model = new RoomModel();
  readonly clients = new Map<string, Commander>();
  commands = 0;
  #connections = 0;

  constructor(
    readonly scene: Scene,
    readonly server: ServerProcess,
  ) {}

  async step(): Promise<void> {
    this.commands += 1;
    const { dice } = this.scene;
    const name = dice.of([...this.clients.keys()]);
    const client = name === undefined ? undefined : this.clients.get(name);
    if (name === undefined || client === undefined) return this.#connect();
    const kind = dice.roll();
    if (kind < 0.05 && this.clients.size < clientsMax) await this.#connect();
    else if (kind < 0.09) await this.#disconnect(name, client);
    else if (kind < 0.35) await this.#move(name, client, "join");
    else if (kind < 0.55) await this.#move(name, client, "leave");
    else {
      this.model.say(name, `text ${this.commands}`);
      await client.ask("say", `text ${this.commands}`);
    }
  }

  async compare(): Promise<void> {
    for (const [name, client] of this.clients) {
      // A reply comes after everything that was sent before it.
      await client.ask("mine", "");
      const [came, expected] = [client.received.splice(0), this.model.takeReceived(name)];
      this.scene.equal(`command ${this.commands}, ${name}: the texts in order`, came, expected);
    }
    for (let n = 0; n < roomsMax; n += 1) {
      const { members, history, users } = await this.server.room(`/model/${n}`);
      const came = { members, history, users: users.toSorted() };
      this.scene.equal(`command ${this.commands}, room ${n}`, came, this.model.view(`/model/${n}`));
    }
  }

  async #connect(): Promise<void> {
    const { dice } = this.scene;
    this.#connections += 1;
    const [name, user] = [`client ${this.#connections}`, `user-${dice.from(0, usersMax)}`];
    const home = `/model/${dice.from(0, roomsMax)}`;
    this.clients.set(name, new Commander(await RawSocket.openV1(this.server.port, `${home}?user=${user}`)));
    this.model.connect(name, home, user);
  }

  async #disconnect(name: string, client: Commander): Promise<void> {
    // What it was sent before its end cannot be compared any more.
    client.socket.destroy();
    this.clients.delete(name);
    this.model.disconnect(name);
    const left = this.clients.size + 1;
    await this.scene.until("the server notices the end", 5_000, async () => {
      return (await this.server.status()).connections === left;
    });
  }

  async #move(name: string, client: Commander, event: "join" | "leave"): Promise<void> {
    const path = `/model/${this.scene.dice.from(0, roomsMax)}`;
    if (event === "join") this.model.join(name, path);
    else this.model.leave(name, path);
    const rooms = await client.ask(event, path);
    this.scene.equal(`command ${this.commands}: rooms after ${event} of ${path}`, rooms, this.model.roomsOf(name));
  }
}

export const modelRow: Row = {
  number: 13,
  title: "random commands against a model",
  expected: "members, order, presence and history equal",
  seconds: 600,
  async run(scene) {
    const server = await scene.start();
    const session = new Session(scene, server);
    const total = scene.pick(100_000, 1_500);
    while (session.commands < total && scene.failures.length === 0) {
      await session.step();
      if (session.commands % batch === 0) await session.compare();
    }
    scene.show("commands", session.commands);
    for (const { socket } of session.clients.values()) socket.destroy();
    await scene.until("all rooms are freed", 5_000, async () => (await server.status()).rooms === 1);
  },
};
