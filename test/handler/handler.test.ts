import { describe, expect, it } from "vitest";
import { App, anonymous, type DeliveryPolicy, HttpError, Route, WebSocketHandler } from "../../src/index.js";
import { connect } from "../../src/testing/index.js";
import { closes, Mailbox, start, startWith } from "../support/app.js";

abstract class PrivateHandler extends WebSocketHandler<{ channel: string }> {
  override authorize() {
    const name = this.query.get("name");
    if (name === null) throw new HttpError(401, "who are you?");
    return { id: name };
  }
}

@Route("/chat/:channel")
class Chat extends PrivateHandler {
  onJSON(message: unknown) {
    const { to, text } = message as { to: string; text: string };
    const said = { from: this.user, text };
    if (to === "me") this.sendJSON(said);
    if (to === "room") this.sendJSONToThisRoom(said);
    if (to === "others") this.sendJSONToThisRoom(said, { except: this });
    if (to.startsWith("/")) this.sendJSONToRoom(to, said);
    if (to === "all") this.sendJSONToAll(said);
    if (to.startsWith("@")) this.sendJSONToUser(to.slice(1), said);
  }
}

@Route("/forms/:channel")
class Forms extends WebSocketHandler {
  onMessage(to: string) {
    const bytes = new TextEncoder().encode(to);
    if (to === "me") {
      this.sendText(to);
      this.sendBinary(bytes.buffer);
    } else if (to === "room") {
      this.sendTextToThisRoom(to);
      this.sendBinaryToThisRoom(bytes);
    } else if (to === "all") {
      this.sendTextToAll(to);
      this.sendBinaryToAll(bytes);
    } else if (to.startsWith("@")) {
      this.sendTextToUser({ id: to.slice(1) }, to);
      this.sendBinaryToUser(to.slice(1), bytes);
    } else {
      this.sendTextToRoom(to, to);
      this.sendBinaryToRoom(to, bytes);
    }
  }
}

describe("two clients in /chat/general, one in /chat/administrators", () => {
  async function scene() {
    const running = await start(new App({ handlers: [Chat, Forms] }));
    const ann = await running.open("/chat/general?name=ann");
    const bob = await running.open("/chat/general?name=bob");
    const eve = await running.open("/chat/administrators?name=eve");
    return { ...running, ann, bob, eve, say: (to: string) => ann.sendJSON({ to, text: `to ${to}` }) };
  }
  const from = (text: string) => ({ from: { id: "ann" }, text });

  it("sends to this client, this room, its others, another room, everyone and a user, and nowhere else", async () => {
    const { ann, bob, eve, say } = await scene();
    for (const to of ["me", "room", "others", "/chat/administrators", "@bob", "all"]) say(to);
    // The message to all comes last: a client that has read it has read everything.
    expect([await ann.readJSON(), await ann.readJSON(), await ann.readJSON()]).toEqual([
      ...[from("to me"), from("to room"), from("to all")],
    ]);
    expect([await bob.readJSON(), await bob.readJSON(), await bob.readJSON(), await bob.readJSON()]).toEqual([
      ...[from("to room"), from("to others"), from("to @bob"), from("to all")],
    ]);
    expect([await eve.readJSON(), await eve.readJSON()]).toEqual([from("to /chat/administrators"), from("to all")]);
  });

  it("sends nothing to an empty room or an absent user, and the sender stays", async () => {
    const { ann, say, errors } = await scene();
    for (const to of ["/chat/nowhere", "/not/even/a/route", "/chat/nowhere/", "@absent", "me"]) say(to);
    expect(await ann.readJSON()).toEqual(from("to me"));
    expect(errors).toEqual([]);
  });

  it("treats a trailing slash, another encoding and another form of an accent as the same room", async () => {
    const { open, ann, say, app } = await scene();
    const inGeneral = await open("/chat/general/?name=cid");
    const encoded = await open("/chat/%67eneral?name=dan");
    say("room");
    expect(await inGeneral.readJSON()).toEqual(from("to room"));
    expect(await encoded.readJSON()).toEqual(from("to room"));
    expect(await ann.readJSON()).toEqual(from("to room"));
    const composed = await open(`/chat/${encodeURIComponent("caf\u00e9")}?name=f`);
    await open(`/chat/${encodeURIComponent("cafe\u0301")}?name=g`);
    expect(app.registry.room("/chat/caf\u00e9").size).toBe(2);
    expect(app.registry.room("/chat/cafe\u0301/").size).toBe(2);
    composed.terminate();
  });

  it("refuses a client with the status of an inherited authorize", async () => {
    const { open, app } = await scene();
    const refused = await open("/chat/general").catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(HttpError);
    expect(refused).toMatchObject({ status: 401, message: "who are you?" });
    expect(app.status()).toMatchObject({ connections: 3, rooms: 2, users: 3, totals: { opened: 3, refused: 1 } });
  });

  it("sends text and bytes as well as JSON", async () => {
    const { open } = await start(new App({ handlers: [Forms] }));
    const one = await open("/forms/one");
    const two = await open("/forms/two");
    for (const to of ["me", "room", "/forms/two", "@absent", "all"]) one.sendText(to);
    const read = async (client: typeof one, count: number) => {
      const seen: string[] = [];
      for (let index = 0; index < count; index += 1) {
        const message = await client.read();
        seen.push(message.isText ? message.text : `bytes of ${Buffer.from(message.bytes).toString()}`);
      }
      return seen;
    };
    expect(await read(one, 6)).toEqual(["me", "bytes of me", "room", "bytes of room", "all", "bytes of all"]);
    expect(await read(two, 4)).toEqual(["/forms/two", "bytes of /forms/two", "all", "bytes of all"]);
  });
});

describe("a handler", () => {
  it("has its request, parameters, query, user, rooms and app", async () => {
    const reported = new Mailbox<unknown>();
    class Knows extends WebSocketHandler<{ channel: string }, { id: string }> {
      override authorize() {
        return { id: "ann" };
      }
      override onConnect() {
        const { url, path, headers, remoteAddress, web } = this.request;
        reported.put({
          url,
          path,
          remoteAddress,
          agent: headers["x-agent"],
          web: [web.url, web.headers.get("x-agent")],
          channel: this.params.channel,
          as: this.query.get("as"),
          user: this.user.id,
          id: this.id.length,
          room: this.room.path,
          rooms: this.rooms.map((room) => room.path),
          left: this.leftRooms,
          same: [this.app.registry.connection(this.id) === this.connection, this.connection.user === this.user],
        });
      }
      onMessage() {
        this.close();
      }
    }
    const { open, port } = await startWith("/knows/:channel", Knows);
    await open("/knows/caf%C3%A9?as=x%20y", { headers: { "x-agent": "test" } });
    expect(await reported.have(1)).toEqual([
      {
        url: "/knows/caf%C3%A9?as=x%20y",
        path: "/knows/café",
        remoteAddress: "127.0.0.1",
        agent: "test",
        web: [`http://127.0.0.1:${port}/knows/caf%C3%A9?as=x%20y`, "test"],
        channel: "café",
        as: "x y",
        user: "ann",
        id: 22,
        room: "/knows/café",
        rooms: ["/knows/café"],
        left: [],
        same: [true, true],
      },
    ]);
  });

  it("has a web request with a path that no Host header can change", async () => {
    const reported = new Mailbox<string>();
    class Web extends WebSocketHandler {
      override onConnect() {
        reported.put(new URL(this.request.web.url).pathname);
      }
      onMessage() {
        this.close();
      }
    }
    // Over HTTP these are refused. Another transport may pass on any header.
    await using app = new App().route("/private/:name", Web);
    for (const host of ["x/public?", "x#y", "a b", "user@x"]) await connect(app, "/private/a", { headers: { host } });
    expect(await reported.have(4)).toEqual(["/private/a", "/private/a", "/private/a", "/private/a"]);
  });

  it("keeps state in its own fields, one instance per connection", async () => {
    class Counter extends WebSocketHandler {
      count = 0;
      onMessage() {
        this.count += 1;
        this.sendJSON(this.count);
      }
    }
    const { open } = await startWith("/counter", Counter);
    const [one, two] = [await open("/counter"), await open("/counter")];
    one.sendText("");
    one.sendText("");
    two.sendText("");
    expect([await one.readJSON(), await one.readJSON(), await two.readJSON()]).toEqual([1, 2, 1]);
  });

  it("joins and leaves rooms, joining twice counts once, and leaves all rooms when it ends", async () => {
    class Mover extends WebSocketHandler {
      onMessage(text: string) {
        const [what, path = ""] = text.split(" ");
        if (what === "join") this.join(path);
        if (what === "leave") this.leave(path);
        if (what === "leaveAll") this.leaveAll();
        this.sendJSON(this.rooms.map((room) => `${room.path} ${room.size}`));
      }
    }
    const { open, app } = await startWith("/mover", Mover);
    const client = await open("/mover");
    const answerTo = async (text: string) => {
      client.sendText(text);
      return client.readJSON();
    };
    expect(await answerTo("join /companies/42")).toEqual(["/mover 1", "/companies/42 1"]);
    expect(await answerTo("join /companies/42/")).toEqual(["/mover 1", "/companies/42 1"]);
    expect(await answerTo("leave /mover")).toEqual(["/companies/42 1"]);
    expect(await answerTo("leave /mover")).toEqual(["/companies/42 1"]);
    expect(await answerTo("join /__proto__")).toEqual(["/companies/42 1", "/__proto__ 1"]);
    expect(await answerTo("leaveAll")).toEqual([]);
    expect(await answerTo("join /again")).toEqual(["/again 1"]);
    const closed = closes(app, 1);
    client.terminate();
    await closed;
    expect(app.status()).toMatchObject({ connections: 0, rooms: 0 });
  });

  it("is closed when it leaves its last room, if the route has that option", async () => {
    class Guest extends WebSocketHandler {
      onMessage(path: string) {
        this.leave(path);
      }
    }
    const { open } = await start(new App().route("/guest", Guest, { closeOnLastRoomLeft: true }));
    const client = await open("/guest");
    client.sendText("/elsewhere");
    client.sendText("/guest");
    expect(await client.closed).toMatchObject({ code: 1000 });
  });

  it("gets clear errors for calls at the wrong time", async () => {
    const reported = new Mailbox<unknown>();
    class Clumsy extends WebSocketHandler {
      override authorize() {
        this.#attempt(() => this.sendText("too early"));
        return anonymous;
      }
      onMessage() {
        this.#attempt(() => this.close(1001));
        this.#attempt(() => this.close(1000, 5 as unknown as string));
        this.#attempt(() => this.sendJSON(undefined));
        this.#attempt(() => this.sendText({} as string));
        this.#attempt(() => this.join("general"));
        this.#attempt(() => this.sendJSONToRoom("/a//b", 1));
        this.#attempt(() => this.sendJSONToUser({ id: true as unknown as string }, 1));
        this.#attempt(() => this.app.channel("none"));
        this.#attempt(() => this.sendText("x", { policy: "skip" as unknown as DeliveryPolicy }));
      }
      #attempt(what: () => void) {
        try {
          what();
        } catch (error) {
          reported.put(error);
        }
      }
    }
    const client = await (await startWith("/clumsy", Clumsy)).open("/clumsy");
    client.sendText("");
    expect(await reported.have(10)).toMatchObject([
      { code: "ERR_NOT_CONNECTED", message: expect.stringContaining("before the upgrade") },
      { code: "ERR_CLOSE_CODE", message: "close takes 1000 or a code from 3000 to 4999, got 1001" },
      { code: "ERR_CLOSE_CODE", message: "close takes a string as its reason, got number" },
      { code: "ERR_VALUE", message: expect.stringContaining("got undefined") },
      { code: "ERR_VALUE", message: expect.stringContaining("send other values as JSON") },
      { code: "ERR_PATH", message: expect.stringContaining('does not begin with "/"') },
      { code: "ERR_PATH", message: expect.stringContaining("empty segment") },
      { code: "ERR_USER", message: expect.stringContaining("an object whose id is boolean") },
      { code: "ERR_ROUTE_UNKNOWN", message: 'no route is named "none"; no route has a name' },
      { code: "ERR_OPTION", message: 'policy takes reliable, skip or latest(key) of enfilade, got "skip"' },
    ]);
  });

  it("closes with a reason cut to 123 bytes between two characters", async () => {
    class Wordy extends WebSocketHandler {
      onMessage() {
        this.close(4000, `${"x".repeat(122)}é`);
      }
    }
    const client = await (await startWith("/wordy", Wordy)).open("/wordy");
    client.sendText("");
    expect(await client.closed).toMatchObject({ code: 4000, reason: "x".repeat(122) });
  });
});
