import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { connect } from "../../src/client/index.js";
import { App, EventError, EventHandler, HttpError, On, type RouteOptions } from "../../src/index.js";
import { Mailbox, start } from "../support/app.js";

class Chat extends EventHandler<object, { id: string; token: string }> {
  override authorize({ token = "" }: { token?: string | undefined }) {
    if (token === "bad") throw new HttpError(401);
    return { id: "ann", token };
  }
  @On() onWho() {
    return this.user.token;
  }
  @On() onSay(text: string) {
    this.emitToThisRoom("said", text);
  }
  @On() onFail() {
    throw new EventError("full", "the room is full");
  }
}

/** A room on a real server, as the client sees it. */
async function connectRoom(route: RouteOptions = {}, token: string | (() => Promise<string>) = "first") {
  const running = await start(new App().route("/chat/:room", Chat, route));
  // The class of ws has more than the client needs of a WebSocket, with other types.
  const client = connect<Chat>(`${running.url}/chat/a`, { WebSocket: WebSocket as never, token });
  const states = new Mailbox<string>();
  client.on("state", (state, { code }) => states.put(code === undefined ? state : `${state} ${code}`));
  return { ...running, client, states };
}

describe("the client with its server", () => {
  it("calls events by name, gets replies, refusals and emitted events, and knows who is there", async () => {
    const { client } = await connectRoom({ history: { size: 10 }, presence: { mode: "full", show: (user) => user } });
    const messages = new Mailbox<unknown>();
    client.on("message", ({ data, offset }) => messages.put([offset, data]));
    const said = new Mailbox<unknown>();
    client.onEvent("said", (data) => said.put(data));
    client.onEvent("other", () => said.put("never"));
    await client.request("say", "hello");
    await expect(client.request("fail")).rejects.toMatchObject({ code: "full", message: "the room is full" });
    client.emit("say", "again");
    expect(await messages.have(2)).toEqual([
      [1, { event: "said", data: "hello" }],
      [2, { event: "said", data: "again" }],
    ]);
    expect(said.all).toEqual(["hello", "again"]);
    expect(client.position).toMatchObject({ offset: 2 });
    expect(client.presence).toMatchObject({ count: 1, users: [{ id: "ann", user: { token: "first" } }] });
    client.close();
  });

  it("renews its credentials while connected, and is closed for good if they are refused", async () => {
    const tokens = ["first", "second", "bad"];
    const { client, states } = await connectRoom({}, async () => tokens.shift() ?? "none");
    const errors = new Mailbox<Error>();
    client.on("error", (error) => errors.put(error));
    expect(await client.request("who")).toBe("first");
    await client.refresh();
    // The new token takes effect when the server has called authorize, which no call awaits.
    let who = "first";
    while (who === "first") who = await client.request("who");
    expect(who).toBe("second");
    const log: string[] = [];
    client.attachLog({ append: (line) => log.push(line), lastChild: null });
    await client.refresh();
    expect(log).toEqual(["→ refresh\n"]);
    expect((await states.have(2)).at(-1)).toBe("closed 4501");
    expect(errors.all).toMatchObject([{ name: "ConnectError", status: 401 }]);
  });

  it("is closed for good if it is refused, or if the room does not exist", async () => {
    const { client, states, app, url } = await connectRoom({}, "bad");
    expect(await states.have(1)).toEqual(["closed 4501"]);
    await expect(client.request("who")).rejects.toMatchObject({ code: "closed" });
    const lost = connect(`${url}/chta/a`, { WebSocket: WebSocket as never });
    const code = await new Promise((resolve) => lost.on("state", (_state, info) => resolve(info.code)));
    expect(code).toBe(4504);
    expect(app.status().totals).toMatchObject({ refused: 2, opened: 0 });
  });
});
