import { describe, expect, it } from "vitest";
import { MemoryBackplane } from "../../src/backplane/index.js";
import { App, WebSocketHandler } from "../../src/index.js";
import { Mailbox, type RunningApp, start } from "../support/app.js";

const silent = { warn: () => undefined, error: () => undefined };
const path = "/rooms/a";

interface Late extends RunningApp {
  /** The handlers of open connections. */
  readonly entered: Mailbox<WebSocketHandler>;
  /** Ends the handlers. */
  release(): void;
  /** The handlers that have left their rooms. */
  readonly left: Mailbox<WebSocketHandler>;
}

/** An app whose handlers do not end with their connections. */
async function startLate(backplane: MemoryBackplane): Promise<Late> {
  const entered = new Mailbox<WebSocketHandler>();
  const left = new Mailbox<WebSocketHandler>();
  const released = new Mailbox<true>();
  class Busy extends WebSocketHandler {
    async serve(): Promise<void> {
      entered.put(this);
      await released.have(1);
    }
    override onClose(): void {
      left.put(this);
    }
  }
  const app = new App({ backplane, logger: silent }).route("/rooms/:name", Busy, { history: { size: 10 } });
  return { ...(await start(app)), entered, left, release: () => released.put(true) };
}

describe("a backplane that is passed to the next app", () => {
  it("delivers there, also when a handler of the closed app leaves its room later", async () => {
    const backplane = new MemoryBackplane();
    const first = await startLate(backplane);
    await first.open(path);
    await first.entered.have(1);
    await first.app.close({ timeoutMs: 1 });

    const second = await startLate(backplane);
    const client = await second.open(path);
    await second.entered.have(1);
    first.release();
    await first.left.have(1);
    second.app.registry.room(path).sendJSON("still open");
    expect(await client.readJSON()).toBe("still open");
    second.release();
  });

  it("is not reached by a handler of the closed app", async () => {
    const backplane = new MemoryBackplane();
    const first = await startLate(backplane);
    await first.open(path);
    const [late] = await first.entered.have(1);
    await first.app.close({ timeoutMs: 1 });

    const second = await startLate(backplane);
    const client = await second.open(path);
    const [member] = await second.entered.have(1);
    const closed = { code: "ERR_APP_STATE" };
    await expect(late?.room.publish({ json: "late" })).rejects.toMatchObject(closed);
    await expect(late?.room.history()).rejects.toMatchObject(closed);
    late?.room.sendJSON("late");
    late?.room.evict(member?.id ?? "");
    late?.room.close(4000, "late");
    second.app.registry.room(path).sendJSON("on time");
    expect(await client.readJSON()).toBe("on time");
    const history = await second.app.registry.room(path).history();
    expect(history.map(({ data }) => data)).toEqual(["on time"]);
    expect(second.app.status().connections).toBe(1);
    first.release();
    second.release();
  });

  it("is refused while the other app is open", async () => {
    const backplane = new MemoryBackplane();
    const first = await startLate(backplane);
    expect(() => new App({ backplane })).toThrowError(
      expect.objectContaining({
        code: "ERR_OPTION",
        message: "a MemoryBackplane serves one app at a time; await close() of the other app first",
      }),
    );
    await first.app.close();
    expect(() => new App({ backplane })).not.toThrow();
  });
});
