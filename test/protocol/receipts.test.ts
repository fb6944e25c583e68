import { describe, expect, test } from "vitest";
import type { ClaimedFrame, ClaimResult, Claims } from "../../src/backplane/claims.js";
import type { ReplyTarget } from "../../src/protocol/receipts/frameRecord.js";
import { defaultReceiptLimits, type ReceiptLimits, Receipts } from "../../src/protocol/receipts/receipts.js";
import { ReceivedFrames } from "../../src/protocol/receipts/receivedFrames.js";
import { ManualClock } from "../../src/testing/index.js";

/** Counts what the receipts report to the memory of the app. */
class Ledger {
  receiptBytes = 0;
  forgotten = 0;
  onForgotten(count: number): void {
    this.forgotten += count;
  }
}

/** A connection that collects the frames it is sent. */
class Target implements ReplyTarget {
  readonly frames: { readonly id: unknown; readonly data?: unknown; readonly error?: { readonly code: string } }[] = [];
  constructor(
    readonly id: string,
    readonly waitsOn = false,
  ) {}
  sendFrame(text: string): void {
    this.frames.push(JSON.parse(text));
  }
}

class TestClaims implements Claims {
  readonly calls: string[] = [];
  results: ClaimResult[] = [];
  async claim({ id }: ClaimedFrame): Promise<ClaimResult> {
    this.calls.push(`claim ${id}`);
    return this.results.shift() ?? { state: "run" };
  }
  settle({ id }: ClaimedFrame, reply: string | undefined): void {
    this.calls.push(`settle ${id} ${reply === undefined ? "no reply" : "reply"}`);
  }
  release({ id }: ClaimedFrame): void {
    this.calls.push(`release ${id}`);
  }
}

function setUp(limits: Partial<ReceiptLimits> = {}, claims?: Claims) {
  const clock = new ManualClock();
  const memory = new Ledger();
  const receipts = new Receipts({ clock, memory, claims, limits: { ...defaultReceiptLimits, ...limits } });
  /** Opens a connection of a client. */
  const open = (client: string | undefined, target = new Target(`connection of ${client}`), userId?: string) => {
    const frames = new ReceivedFrames(receipts, target);
    frames.start(client, userId);
    return { target, frames };
  };
  /** Receives a frame, and answers it with `data` if it is to be run. Returns whether it was run. */
  const run = ({ frames }: ReturnType<typeof open>, id: string | number, data: unknown = null): boolean => {
    const receipt = frames.receive(id);
    if (receipt === undefined || receipt.begin() !== true) return false;
    frames.current?.answer({ data });
    receipt.settle();
    return true;
  };
  return { clock, memory, receipts, open, run };
}

describe("a frame with an id", () => {
  test("is run once on a connection, and answered once", () => {
    const { open, run } = setUp();
    const one = open("ann");
    expect([run(one, 1, "a"), run(one, 1, "b"), run(one, "1", "c")]).toEqual([true, false, true]);
    expect(one.target.frames).toMatchObject([
      { id: 1, data: "a" },
      { id: "1", data: "c" },
    ]);
  });

  test("is answered again on another connection of the client, and not run again", () => {
    const { open, run } = setUp();
    run(open("ann", new Target("first")), 1, "a");
    const second = open("ann", new Target("second"));
    expect([run(second, 1, "b"), run(second, 1, "b")]).toEqual([false, false]);
    expect(second.target.frames).toMatchObject([{ id: 1, data: "a" }]);
  });

  test("of another client, or of a client without a name, is another frame", () => {
    const { open, run } = setUp();
    expect([run(open("ann"), 1), run(open("bob"), 1), run(open(undefined), 1), run(open(undefined), 1)]).toEqual(
      Array(4).fill(true),
    );
  });

  test("that is running is answered on the newest connection, and on each that waits on", () => {
    const { open } = setUp();
    const first = open("ann", new Target("first", true));
    const receipt = first.frames.receive(1);
    expect(receipt?.begin()).toBe(true);
    const second = open("ann", new Target("second"));
    const third = open("ann", new Target("third"));
    expect([second.frames.receive(1), third.frames.receive(1)]).toEqual([undefined, undefined]);
    first.frames.current?.answer({ data: "done" });
    expect([first, second, third].map(({ target }) => target.frames.length)).toEqual([1, 0, 1]);
  });

  test("that no handler has begun is run again after its connection has ended", () => {
    const { open, run, memory } = setUp();
    const first = open("ann", new Target("first"));
    expect(first.frames.receive(1)).toBeDefined();
    expect(memory.receiptBytes).toBeGreaterThan(0);
    const second = open("ann", new Target("second"));
    first.frames.end();
    expect(run(second, 1, "a")).toBe(true);
    expect([first.target.frames, second.target.frames]).toMatchObject([[], [{ id: 1, data: "a" }]]);
  });

  test("that no handler has begun takes memory as long as one of its connections is open", () => {
    const { open, memory } = setUp();
    const [first, second] = [open("ann", new Target("first")), open("ann", new Target("second"))];
    for (const { frames } of [first, second, first]) expect(frames.receive(1)).toBeDefined();
    const held = memory.receiptBytes;
    expect(held).toBeGreaterThan(0);
    first.frames.end();
    expect(memory.receiptBytes).toBe(held);
    second.frames.end();
    expect(memory.receiptBytes).toBe(0);
  });

  test("takes memory for the characters of its id", () => {
    const bytesWith = (id: string | number) => {
      const { open, memory } = setUp();
      open("ann").frames.receive(id);
      return memory.receiptBytes;
    };
    expect(bytesWith("x".repeat(50)) - bytesWith(1)).toBe(74);
    expect(bytesWith("ü".repeat(50)) - bytesWith("x".repeat(50))).toBe(0);
    expect(bytesWith("ж".repeat(50)) - bytesWith("x".repeat(50))).toBe(50);
  });

  test("that waits on two connections is begun on one of them only", () => {
    const { open } = setUp();
    const [first, second] = [open("ann", new Target("first")), open("ann", new Target("second"))];
    const [one, other] = [first.frames.receive(1), second.frames.receive(1)];
    first.frames.end();
    expect(other?.begin()).toBe(true);
    expect(one?.begin()).toBe(false);
    second.frames.current?.answer({ data: "a" });
    expect(second.target.frames).toMatchObject([{ id: 1, data: "a" }]);
  });

  test("whose connection ends while its handler runs is answered with an error, and later with its result", () => {
    const claims = new TestClaims();
    const { open } = setUp();
    const first = open("ann", new Target("first"));
    const receipt = first.frames.receive(1);
    receipt?.begin();
    const record = first.frames.current;
    first.frames.end();
    const second = open("ann", new Target("second"));
    expect(second.frames.receive(1)).toBeUndefined();
    expect(second.target.frames).toMatchObject([{ error: { code: "internal" } }]);
    record?.answer({ data: "late" });
    expect(second.target.frames).toHaveLength(1);
    expect(claims.calls).toEqual([]);
  });

  test("that comes twice on one connection is answered once", () => {
    const { open } = setUp();
    const { frames, target } = open("ann", new Target("first", true));
    frames.receive(1);
    frames.receive(1)?.begin();
    frames.current?.answer({ data: "done" });
    expect(target.frames).toHaveLength(1);
  });

  test.each([true, false])("that another connection awaits is not given up when its own one ends: %s", (waitsOn) => {
    const { open } = setUp();
    const first = open("ann", new Target("first", waitsOn));
    first.frames.receive(1)?.begin();
    const record = first.frames.current;
    const second = open("ann", new Target("second"));
    second.frames.receive(1);
    first.frames.end();
    expect(second.target.frames).toEqual([]);
    record?.answer({ data: "done" });
    record?.answer({ data: "again" });
    expect(second.target.frames).toMatchObject([{ id: 1, data: "done" }]);
  });

  test("whose handler fails is answered with an error; without an answer, with no data", () => {
    const { open } = setUp();
    const { frames, target } = open("ann");
    for (const [id, hasFailed] of [
      [1, true],
      [2, false],
    ] as const) {
      const receipt = frames.receive(id);
      receipt?.begin();
      receipt?.settle(hasFailed);
    }
    expect(target.frames).toMatchObject([
      { id: 1, error: { code: "internal" } },
      { id: 2, data: null },
    ]);
  });

  test("has a key that is unique over all clients, and short for a long id", () => {
    const { open } = setUp();
    const keyOf = (client: string, id: string | number) => open(client).frames.receive(id)?.key;
    expect([keyOf("ann", 1), keyOf("ann", "1"), keyOf("bob", 1)]).toEqual(["ann:1", 'ann:"1"', "bob:1"]);
    expect(keyOf("ann", "x".repeat(64))).toBe(`ann:"${"x".repeat(64)}"`);
    expect(keyOf("ann", '"'.repeat(64))).toMatch(/^ann:[\w-]{22}$/);
  });
});

describe("claims of other nodes", () => {
  async function begin(result: ClaimResult, isOver = false) {
    const claims = new TestClaims();
    claims.results = [result];
    const { open } = setUp({}, claims);
    const client = open("ann");
    const receipt = client.frames.receive(1);
    const begun = receipt?.begin();
    if (isOver) client.frames.end();
    return { claims, client, receipt, canRun: await begun };
  }

  test("a claimed frame is run, and its reply is stored", async () => {
    const { claims, client, receipt, canRun } = await begin({ state: "run" });
    expect(canRun).toBe(true);
    receipt?.settle();
    expect(claims.calls).toEqual(["claim 1", "settle 1 reply"]);
    expect(client.target.frames).toMatchObject([{ id: 1, data: null }]);
  });

  test("the late result of a handler that was given up is stored once, and its connection gets no more", async () => {
    const { claims, client, receipt } = await begin({ state: "run" });
    const record = client.frames.current;
    client.frames.end();
    expect(claims.calls).toEqual(["claim 1"]);
    record?.answer({ data: "late" });
    record?.answer({ data: "later" });
    receipt?.settle();
    expect(claims.calls).toEqual(["claim 1", "settle 1 reply"]);
    expect(client.target.frames).toMatchObject([{ error: { code: "internal" } }]);
  });

  test("a handler that answers before its connection ends is not given up", async () => {
    const { claims, client } = await begin({ state: "run" });
    client.frames.current?.answer({ data: "done" });
    client.frames.end();
    expect(claims.calls).toEqual(["claim 1", "settle 1 reply"]);
    expect(client.target.frames).toMatchObject([{ id: 1, data: "done" }]);
  });

  test("a frame that is refused on two connections is refused on both that wait on", async () => {
    const claims = new TestClaims();
    claims.results = [{ state: "begun" }];
    const { open } = setUp({}, claims);
    const [first, second] = [open("ann", new Target("first", true)), open("ann", new Target("second", true))];
    const begun = first.frames.receive(1)?.begin();
    second.frames.receive(1);
    expect(await begun).toBe(false);
    for (const { target } of [first, second]) expect(target.frames).toMatchObject([{ error: { code: "duplicate" } }]);
  });

  test("a frame that was answered elsewhere gets that answer", async () => {
    const reply = '{"type":"reply","id":1,"data":"theirs"}';
    const { client, canRun } = await begin({ state: "answered", reply });
    expect([canRun, client.target.frames]).toMatchObject([false, [{ id: 1, data: "theirs" }]]);
    const dropped = await begin({ state: "answered", reply: undefined });
    expect(dropped.client.target.frames).toMatchObject([{ error: { code: "duplicate" } }]);
  });

  test.each([
    ["begun", "duplicate"],
    ["unavailable", "unavailable"],
  ] as const)("a frame that is %s is refused, and may be sent again", async (state, code) => {
    const { claims, client, canRun } = await begin({ state });
    expect([canRun, client.target.frames]).toMatchObject([false, [{ id: 1, error: { code } }]]);
    expect(await client.frames.receive(1)?.begin()).toBe(true);
    expect(claims.calls).toEqual(["claim 1", "claim 1"]);
  });

  test("a claim of a connection that has ended meanwhile is released", async () => {
    const { claims, canRun } = await begin({ state: "run" }, true);
    expect(canRun).toBe(false);
    expect(claims.calls).toEqual(["claim 1", "release 1"]);
  });

  test("an answer of another node reaches no connection that has ended meanwhile", async () => {
    const reply = '{"type":"reply","id":1,"data":"theirs"}';
    const { client, canRun } = await begin({ state: "answered", reply }, true);
    expect([canRun, client.target.frames]).toEqual([false, []]);
  });

  test("a reply above replyBytesMax is not stored", async () => {
    const claims = new TestClaims();
    const { open } = setUp({ replyBytesMax: 100 }, claims);
    const { frames, target } = open("ann");
    const receipt = frames.receive(1);
    await receipt?.begin();
    frames.current?.answer({ data: "x".repeat(200) });
    expect(claims.calls).toEqual(["claim 1", "settle 1 no reply"]);
    const again = open("ann", new Target("second"));
    again.frames.receive(1);
    expect([target.frames.length, again.target.frames[0]?.error?.code]).toEqual([1, "duplicate"]);
  });

  test("a client without a name is not claimed", () => {
    const claims = new TestClaims();
    const { open, run } = setUp({}, claims);
    expect(run(open(undefined), 1)).toBe(true);
    expect(claims.calls).toEqual([]);
  });
});

describe("the limits", () => {
  test("the oldest of more than receiptsMax answers is forgotten", () => {
    const { open, run, memory } = setUp({ receiptsMax: 2 });
    const client = open("ann");
    for (const id of [1, 2, 3]) run(client, id);
    const again = open("ann", new Target("second"));
    expect([run(again, 3), run(again, 2), run(again, 1)]).toEqual([false, false, true]);
    expect(memory.forgotten).toBe(0);
  });

  test("the oldest replies above clientReceiptsBytesMax are dropped, but their frames stay known", () => {
    const { open, run } = setUp({ clientReceiptsBytesMax: 700 });
    const client = open("ann");
    for (const id of [1, 2, 3]) run(client, id, "x".repeat(250));
    const again = open("ann", new Target("second"));
    for (const id of [1, 2, 3]) expect(run(again, id)).toBe(false);
    expect(again.target.frames.map(({ error, data }) => error?.code ?? String(data).length)).toEqual([
      "duplicate",
      250,
      250,
    ]);
  });

  test("replies of exactly the limits are kept", () => {
    // 24 bytes of a string, and the characters of {"type":"reply","id":1,"data":"…"}
    const bytesOf = (characters: number) => 24 + 33 + characters;
    const { open, run } = setUp({ replyBytesMax: bytesOf(100), clientReceiptsBytesMax: 2 * bytesOf(100) });
    const client = open("ann");
    for (const id of [1, 2]) run(client, id, "x".repeat(100));
    run(client, 3, "x".repeat(101));
    const again = open("ann", new Target("second"));
    for (const id of [1, 2, 3]) run(again, id);
    expect(again.target.frames.map(({ data, error }) => error?.code ?? String(data).length)).toEqual([
      100,
      100,
      "duplicate",
    ]);
  });

  test("a client is forgotten receiptsMs after its last connection, and not before", () => {
    const { clock, open, run, memory } = setUp({ receiptsMs: 1_000 });
    const [ann, bob] = [open("ann"), open("bob")];
    run(ann, 1);
    run(bob, 1);
    ann.frames.end();
    clock.advance(600);
    bob.frames.end();
    clock.advance(399);
    const bytes = memory.receiptBytes;
    clock.advance(1);
    expect(memory.receiptBytes).toBe(bytes / 2);
    const back = open("bob", new Target("second"));
    expect(run(back, 1)).toBe(false);
    clock.advance(5_000);
    expect(run(open("bob", new Target("third")), 1)).toBe(false);
    expect(run(open("ann", new Target("second")), 1)).toBe(true);
  });

  test("a client without a frame, and one without a name, leave nothing", () => {
    const { open, run, memory } = setUp();
    open("ann").frames.end();
    const nameless = open(undefined);
    run(nameless, 1);
    expect(memory.receiptBytes).toBeGreaterThan(0);
    nameless.frames.end();
    expect(memory.receiptBytes).toBe(0);
  });

  test("above receiptClientsMax, the client that is absent longest is forgotten", () => {
    const { open, run, memory } = setUp({ receiptClientsMax: 2 });
    for (const name of ["ann", "bob", "cy"]) {
      const client = open(name);
      run(client, 1);
      run(client, 2);
      client.frames.end();
    }
    expect(memory.forgotten).toBe(2);
    const runs = ["cy", "bob", "ann"].map((name) => run(open(name, new Target("second")), 1));
    expect(runs).toEqual([false, false, true]);
  });

  test("above receiptsBytesMax, the clients with the most forget their oldest answers", () => {
    const { open, run, memory } = setUp({ receiptsBytesMax: 20_000, receiptsMax: 1_000 });
    const [modest, greedy] = [open("modest"), open("greedy")];
    run(modest, 1);
    for (let id = 0; id < 200; id += 1) run(greedy, id, "x".repeat(300));
    expect(memory.receiptBytes).toBeLessThanOrEqual(20_000);
    expect(memory.forgotten).toBeGreaterThan(100);
    expect(run(open("modest", new Target("second")), 1)).toBe(false);
    const back = open("greedy", new Target("second"));
    expect([run(back, 199), run(back, 0)]).toEqual([false, true]);
  });

  test("above receiptsBytesMax, answers of other clients than the one that grows are forgotten, too", () => {
    const { open, run, memory } = setUp({ receiptsBytesMax: 40_000, receiptsMax: 1_000 });
    const first = open("first");
    for (let id = 0; id < 90; id += 1) run(first, id, "x".repeat(100));
    const bytes = memory.receiptBytes;
    expect([bytes > 20_000, bytes <= 40_000, memory.forgotten]).toEqual([true, true, 0]);
    const others = Array.from({ length: 30 }, (_, n) => open(`other ${n}`));
    for (const other of others) for (let id = 0; id < 4; id += 1) run(other, id, "x".repeat(100));
    expect(memory.receiptBytes).toBeLessThanOrEqual(40_000);
    const back = open("first", new Target("second"));
    expect([run(back, 89), run(back, 0)]).toEqual([false, true]);
    for (const [n] of others.entries()) expect(run(open(`other ${n}`, new Target("second")), 3)).toBe(false);
  });

  test("above receiptsBytesMax, absent clients are forgotten when the others have their share", () => {
    const { open, run, memory } = setUp({ receiptsBytesMax: 3_000 });
    const absent = open("absent");
    run(absent, 1);
    absent.frames.end();
    for (let n = 0; n < 3; n += 1) run(open(`present ${n}`), 1);
    expect(memory.receiptBytes).toBeLessThanOrEqual(3_000);
    expect(run(open("absent", new Target("second")), 1)).toBe(true);
  });

  test("above receiptsBytesMax, no more absent clients are forgotten than needed", () => {
    const { open, run, memory } = setUp({ receiptsBytesMax: 5_000 });
    for (const name of ["ann", "bob", "cy", "dan", "eve", "fay", "gil"]) {
      const client = open(name);
      run(client, 1);
      client.frames.end();
    }
    expect(memory.receiptBytes).toBeGreaterThan(3_500);
    expect([memory.receiptBytes <= 5_000, memory.forgotten]).toEqual([true, 1]);
    const runs = ["gil", "bob", "ann"].map((name) => run(open(name, new Target("second")), 1));
    expect(runs).toEqual([false, false, true]);
  });

  test("the memory is given back to the last byte", () => {
    const { open, run, memory, clock } = setUp({ receiptsMs: 1_000, receiptsMax: 3 });
    for (const name of ["ann", "bob"]) {
      const client = open(name);
      for (const id of [1, "long ".repeat(12), 3, "ü", 5]) run(client, id, { text: "ö".repeat(20) });
      client.frames.receive(6);
      client.frames.end();
    }
    expect(memory.receiptBytes).toBeGreaterThan(0);
    clock.advance(1_000);
    expect(memory.receiptBytes).toBe(0);
  });

  test("the frames of a user are forgotten with its access, connected or not, and stay forgotten", () => {
    const { receipts, open, run, memory } = setUp();
    const connected = open("ann 1", new Target("first"), "ann");
    const absent = open("ann 2", new Target("first"), "ann");
    const other = open("bob", new Target("first"), "bob");
    for (const one of [connected, absent, other]) run(one, 1);
    absent.frames.end();
    receipts.forgetUser("ann");
    expect(run(open("ann 1", new Target("second"), "ann"), 1)).toBe(true);
    expect(run(open("ann 2", new Target("second"), "ann"), 1)).toBe(true);
    expect(run(open("bob", new Target("second"), "bob"), 1)).toBe(false);
    // The connection that was open answers on, and is not counted.
    const bytes = memory.receiptBytes;
    run(connected, 2);
    connected.frames.end();
    expect(memory.receiptBytes).toBe(bytes);
  });
});
