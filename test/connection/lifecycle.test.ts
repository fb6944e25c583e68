import { describe, expect, it } from "vitest";
import { type ConnectionEvent, type ConnectionState, transitionOf } from "../../src/connection/lifecycle.js";

const states: readonly ConnectionState[] = ["open", "draining", "closing", "closed"];
const events: readonly ConnectionEvent[] = ["requestClose", "close", "fail", "gone"];

/** The state after each event in each state; `-` if nothing changes. */
const table: Readonly<Record<ConnectionState, Readonly<Record<ConnectionEvent, ConnectionState | "-">>>> = {
  open: { requestClose: "draining", close: "closing", fail: "closing", gone: "closed" },
  draining: { requestClose: "-", close: "closing", fail: "closing", gone: "closed" },
  closing: { requestClose: "-", close: "-", fail: "-", gone: "closed" },
  closed: { requestClose: "-", close: "-", fail: "-", gone: "-" },
};

const cases = states.flatMap((state) => events.map((event) => [event, state, table[state][event]] as const));

describe("the life of a connection", () => {
  it.each(cases)("%s in the state %s leads to: %s", (event, state, expected) => {
    expect(transitionOf(state, event)?.to ?? "-").toBe(expected);
  });

  it("reads received messages after a request to close and after a failure, and discards them at a close", () => {
    expect(transitionOf("open", "requestClose")?.effects).toEqual(["endInbox"]);
    expect(transitionOf("open", "fail")?.effects).toContain("endInbox");
    expect(transitionOf("open", "fail")?.effects).not.toContain("discardInbox");
    expect(transitionOf("open", "close")?.effects).toContain("discardInbox");
  });

  it("sends earlier messages before a close, and nothing after a failure", () => {
    expect(transitionOf("draining", "close")?.effects).toContain("finishOutbox");
    expect(transitionOf("draining", "fail")?.effects).toContain("dropOutbox");
  });

  it("has a time limit wherever its end depends on the peer", () => {
    for (const event of ["close", "fail"] as const) {
      expect(transitionOf("open", event)?.effects).toContain("startCloseTimer");
    }
    for (const state of ["open", "draining", "closing"] as const) {
      expect(transitionOf(state, "gone")?.effects).toEqual([
        ...["stopWatch", "stopCloseTimer", "dropOutbox", "endInbox", "abortSignal", "resolveEnded"],
        "startDetachTimer",
      ]);
    }
  });
});
