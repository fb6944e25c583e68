import { describe, expect, it } from "vitest";
import { type ClaimedFrame, type ClaimResult, type Claims, MemoryBackplane } from "../../src/backplane/index.js";
import { App, EventHandler, type IncomingEvent, type Limits, On, WebSocketHandler } from "../../src/index.js";
import { connect, ManualClock, type TestClient } from "../../src/testing/index.js";
import { closes, Mailbox } from "../support/app.js";

const clientId = "client-0123456789";
const other = "client-9876543210";

class Events extends EventHandler {
  static readonly ids = new Mailbox<IncomingEvent["id"]>();

  @On("note")
  onNote(_data: unknown, { id }: IncomingEvent) {
    Events.ids.put(id);
  }
}

class Loop extends WebSocketHandler {
  static readonly ids = new Mailbox<string | undefined>();

  override async serve() {
    for await (const { id } of this.connection) Loop.ids.put(id);
  }
}

async function connectV1(app: App, path: string): Promise<TestClient> {
  const client = await connect(app, path, { protocols: ["enfilade.v1", `enfilade.secret.${"s".repeat(22)}`] });
  await client.readJSON();
  return client;
}

/** The id that the handler gets for each id of a frame. */
async function idsOf(path: string, frameIds: readonly unknown[]): Promise<readonly unknown[]> {
  await using app = new App().route("/events/:room", Events);
  const client = await connectV1(app, path);
  Events.ids.all.length = 0;
  for (const id of frameIds) client.sendJSON({ type: "event", event: "note", id });
  return [...(await Events.ids.have(frameIds.length))];
}

const path = `/events/a?client=${clientId}`;

describe("the id of a message", () => {
  it("is a hash of the client and the id of the frame, the same on every connection and in every process", async () => {
    const first = await idsOf(path, [7, "7", "seven"]);
    expect(first).toEqual([7, '"7"', '"seven"'].map((id) => expect.stringMatching(new RegExp(`^[\\w-]{22}:${id}$`))));
    expect(await idsOf(path, [7, "7", "seven"])).toEqual(first);
  });

  it("differs for each client, user and room, and does not contain the id of the client", async () => {
    const paths = [path, `/events/a?client=${other}`, `/events/b?client=${clientId}`, "/events/a", "/events/a"];
    const ids: unknown[] = [];
    for (const one of paths) ids.push(...(await idsOf(one, [1])));
    expect(new Set(ids).size).toBe(paths.length);
    expect(ids.filter((id) => String(id).includes(clientId))).toEqual([]);
  });

  it("has at most 89 characters that any database can store", async () => {
    const controls = "\u0000".repeat(64);
    const ids = await idsOf(path, ["x".repeat(64), controls, `${controls.slice(1)}x`, "\ud800"]);
    expect(new Set(ids).size).toBe(4);
    for (const id of ids) expect(id).toMatch(/^[\x20-\x7e]{24,89}$/);
  });

  it("is also given to serve() and to interceptors", async () => {
    const seen = new Mailbox<string | undefined>();
    await using app = new App().route("/events/:room", Events).route("/loop/:room", Loop);
    app.intercept((_handler, { id }, next) => {
      seen.put(id);
      return next();
    });
    const [events, loop] = [await connectV1(app, path), await connectV1(app, `/loop/a?client=${clientId}`)];
    events.sendJSON({ type: "event", event: "note", id: 1 });
    loop.sendJSON({ type: "message", data: 1, id: 1 });
    loop.sendJSON({ type: "message", data: 1 });
    expect(await seen.have(1)).toEqual([expect.stringMatching(/^[\w-]{22}:1$/)]);
    expect(await Loop.ids.have(2)).toEqual([expect.stringMatching(/^[\w-]{22}:1$/), undefined]);
  });

  it("of an event of a plain client is the one that the client sent, and its message has none", async () => {
    const seen = new Mailbox<string | undefined>();
    await using app = new App().route("/events/:room", Events);
    app.intercept((_handler, { id }, next) => {
      seen.put(id);
      return next();
    });
    const client = await connect(app, "/events/a");
    Events.ids.all.length = 0;
    client.sendJSON({ event: "note", id: 7 });
    expect(await Events.ids.have(1)).toEqual([7]);
    expect(await client.readJSON()).toEqual({ id: 7, data: null });
    expect(seen.all).toEqual([undefined]);
  });

  it("does not change the id of the reply", async () => {
    await using app = new App().route("/events/:room", Events);
    const client = await connectV1(app, path);
    client.sendJSON({ type: "event", event: "note", id: "mine" });
    expect(await client.readJSON()).toEqual({ type: "reply", id: "mine", data: null });
    client.sendJSON({ type: "event", event: "none", id: "mine too" });
    expect(await client.readJSON()).toMatchObject({ type: "reply", id: "mine too", error: { code: "unknown_event" } });
  });
});

class Runs extends EventHandler {
  static count = 0;

  @On() onRun(characters: number) {
    Runs.count += 1;
    return `run ${Runs.count} ${"x".repeat(characters)}`;
  }
}

function runsApp(limits: Partial<Limits>, backplane = new MemoryBackplane()) {
  const clock = new ManualClock();
  return { clock, app: new App({ clock, backplane, limits: { heartbeatMs: false, ...limits } }).route("/runs", Runs) };
}

/** The default. */
const receiptsMs = 300_000;
const runsPath = (name: string) => `/runs?client=client-${name}-0123456789`;

/** What the client gets for a frame with this id: the data of its reply, or the code of its error. */
async function answerTo(client: TestClient, id: number, characters = 0): Promise<string> {
  client.sendJSON({ type: "event", event: "run", data: characters, id });
  const { data, error } = (await client.readJSON()) as { data?: string; error?: { code: string } };
  return error?.code ?? data ?? "nothing";
}

/** The answers to frames with these ids, on a connection of its own that has ended then. */
async function visit(app: App, name: string, ids: readonly number[], characters = 0): Promise<string[]> {
  const client = await connectV1(app, runsPath(name));
  const answers: string[] = [];
  for (const id of ids) answers.push(await answerTo(client, id, characters));
  const left = closes(app, 1);
  client.terminate();
  await left;
  return answers;
}

describe("the answer to a frame with an id", () => {
  it("is remembered for the last receiptsMax of a client", async () => {
    await using app = runsApp({ receiptsMax: 2 }).app;
    const [first, second, third] = await visit(app, "ann", [1, 2, 3]);
    expect(await visit(app, "ann", [2, 3])).toEqual([second, third]);
    const [again] = await visit(app, "ann", [1]);
    expect(again).toMatch(/^run/);
    expect(again).not.toBe(first);
    expect(await visit(app, "ann", [3, 1])).toEqual([third, again]);
  });

  it("is dropped past clientReceiptsBytesMax, the oldest first, and its frame is not run again", async () => {
    await using app = runsApp({ clientReceiptsBytesMax: 2_500 }).app;
    const [, second, third] = await visit(app, "ann", [1, 2, 3], 1_000);
    const runs = Runs.count;
    expect(await visit(app, "ann", [1, 2, 3])).toEqual(["duplicate", second, third]);
    expect(Runs.count).toBe(runs);
    const [fourth] = await visit(app, "ann", [4], 1_000);
    expect(await visit(app, "ann", [1, 2, 3, 4])).toEqual(["duplicate", "duplicate", third, fourth]);
  });

  it("does not count for clientReceiptsBytesMax once its frame is forgotten", async () => {
    await using app = runsApp({ receiptsMax: 2, clientReceiptsBytesMax: 2_500 }).app;
    const answers = await visit(app, "ann", [1, 2, 3, 4, 5, 6], 1_000);
    expect(await visit(app, "ann", [5, 6])).toEqual(answers.slice(4));
  });

  it("is one of at most clientReceiptsBytesMax bytes, however many were dropped", async () => {
    await using app = runsApp({ clientReceiptsBytesMax: 2_500 }).app;
    const ids = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
    const answers = await visit(app, "ann", ids, 1_000);
    const repeated = await visit(app, "ann", ids);
    const kept = repeated.filter((answer) => answer !== "duplicate");
    expect(kept).toEqual(answers.slice(-kept.length));
    expect(kept.join("").length).toBeLessThanOrEqual(2_500);
  });

  it("is remembered as long as one connection of its client is open, and receiptsMs longer", async () => {
    const { app, clock } = runsApp({});
    const stayed = await connectV1(app, runsPath("ann"));
    const answers = await visit(app, "ann", [1]);
    clock.advance(2 * receiptsMs);
    expect(await answerTo(stayed, 1)).toBe(answers[0]);
    const left = closes(app, 1);
    stayed.terminate();
    await left;
    clock.advance(receiptsMs - 1);
    const back = await connectV1(app, runsPath("ann"));
    clock.advance(2 * receiptsMs);
    expect(await answerTo(back, 1)).toBe(answers[0]);
    const leftAgain = closes(app, 1);
    back.terminate();
    await leftAgain;
    clock.advance(receiptsMs);
    expect(await visit(app, "ann", [1])).not.toEqual(answers);
    await app.close();
  });

  it("is forgotten past receiptClientsMax for the client that is absent for longest", async () => {
    await using app = runsApp({ receiptClientsMax: 2 }).app;
    const [ann] = await visit(app, "ann", [1]);
    const [bob] = await visit(app, "bob", [1]);
    // She returns, so he is the one who is absent for longest.
    expect(await visit(app, "ann", [1])).toEqual([ann]);
    const [cleo] = await visit(app, "cleo", [1]);
    const stayed = await connectV1(app, runsPath("ann"));
    expect(await answerTo(stayed, 1)).toBe(ann);
    const [bobAgain] = await visit(app, "bob", [1]);
    expect(bobAgain).not.toBe(bob);
    expect(await visit(app, "cleo", [1])).toEqual([cleo]);
    expect(await visit(app, "bob", [1])).toEqual([bobAgain]);
  });

  it("is remembered on its connection alone if the client has no id, and takes no place of other clients", async () => {
    await using app = runsApp({ receiptClientsMax: 1 }).app;
    const ann = await visit(app, "ann", [1]);
    const [one, other] = [await connectV1(app, "/runs"), await connectV1(app, "/runs")];
    expect(await answerTo(one, 1)).not.toBe(await answerTo(other, 1));
    one.sendJSON({ type: "event", event: "run", data: 0, id: 1 });
    expect(await answerTo(one, 2)).toMatch(/^run/);
    const left = closes(app, 2);
    one.terminate();
    other.terminate();
    await left;
    expect(await visit(app, "ann", [1])).toEqual(ann);
  });
});

/** A backplane whose claims have the results that a test sets. */
class ClaimingBackplane extends MemoryBackplane {
  readonly calls = new Mailbox<readonly [call: string, id: string, reply?: string | undefined]>();
  readonly frames: ClaimedFrame[] = [];
  result: ClaimResult | Promise<ClaimResult> = { state: "run" };
  readonly claims: Claims = {
    claim: async (frame) => {
      this.frames.push(frame);
      this.calls.put(["claim", frame.id]);
      return this.result;
    },
    settle: ({ id }, reply) => this.calls.put(["settle", id, reply]),
    release: ({ id }) => this.calls.put(["release", id]),
  };
}

describe("a frame with an id, if other nodes can receive it too", () => {
  it("is claimed before it is run, and its reply is stored for the other nodes, unless it is too long", async () => {
    const backplane = new ClaimingBackplane();
    await using app = runsApp({ replyBytesMax: 500, receiptsMax: 7 }, backplane).app;
    const [short] = await visit(app, "ann", [1]);
    await visit(app, "ann", [2], 1_000);
    const reply = JSON.stringify({ type: "reply", id: 1, data: short });
    expect(backplane.calls.all).toEqual([
      ["claim", "1"],
      ["settle", "1", reply],
      ["claim", "2"],
      ["settle", "2", undefined],
    ]);
    const [frame, second] = backplane.frames;
    expect(frame).toMatchObject({ client: expect.stringMatching(/^[\w-]{22}$/), window: { receiptsMax: 7 } });
    expect(second?.client).toBe(frame?.client);
  });

  it.each<[what: string, result: ClaimResult, answer: string]>([
    ["was answered on another node", { state: "answered", reply: '{"type":"reply","id":1,"data":"there"}' }, "there"],
    ["was answered there with a reply that is not kept", { state: "answered", reply: undefined }, "duplicate"],
    ["was begun there", { state: "begun" }, "duplicate"],
    ["cannot be claimed", { state: "unavailable" }, "unavailable"],
  ])("is not run if it %s", async (_what, result, answer) => {
    const backplane = new ClaimingBackplane();
    await using app = runsApp({}, backplane).app;
    backplane.result = result;
    const runs = Runs.count;
    expect(await visit(app, "ann", [1])).toEqual([answer]);
    expect([Runs.count, backplane.calls.all]).toEqual([runs, [["claim", "1"]]]);
    // An answer is final. A refusal is not: the frame is claimed again when it comes again.
    backplane.result = { state: "run" };
    const [again] = await visit(app, "ann", [1]);
    if (result.state === "answered") expect([again, Runs.count]).toEqual([answer, runs]);
    else expect(again).toBe(`run ${runs + 1} `);
  });

  it("is released if its connection has ended before it was claimed, and can be run on the next one", async () => {
    const backplane = new ClaimingBackplane();
    await using app = new App({ backplane, limits: { closeMs: 50 } }).route("/runs", Runs);
    let claim: (result: ClaimResult) => void = () => undefined;
    backplane.result = new Promise((resolve) => {
      claim = resolve;
    });
    const client = await connectV1(app, runsPath("ann"));
    const runs = Runs.count;
    client.sendJSON({ type: "event", event: "run", data: 0, id: 1 });
    await backplane.calls.have(1);
    const left = closes(app, 1);
    client.terminate();
    await left;
    claim({ state: "run" });
    expect(await backplane.calls.have(2)).toEqual([
      ["claim", "1"],
      ["release", "1"],
    ]);
    expect(Runs.count).toBe(runs);
    expect(await visit(app, "ann", [1])).toEqual([`run ${runs + 1} `]);
  });

  it("is not claimed if its client has no id", async () => {
    const backplane = new ClaimingBackplane();
    await using app = runsApp({}, backplane).app;
    expect(await answerTo(await connectV1(app, "/runs"), 1)).toMatch(/^run/);
    expect(backplane.calls.all).toEqual([]);
  });
});
