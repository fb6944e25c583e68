import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { Notifier } from "../../src/wire/notifier.js";

interface Events {
  changed: [value: number];
}

function notifierWith(onError: (error: unknown) => void = () => undefined) {
  return new Notifier<Events>("the test", { changed: true }, onError);
}

describe("a listener with once and signal", () => {
  it("leaves nothing on the signal after its call", () => {
    const { signal } = new AbortController();
    const notifier = notifierWith();
    const values: number[] = [];
    notifier.on("changed", (value) => values.push(value), { once: true, signal });
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    notifier.emit("changed", 1);
    notifier.emit("changed", 2);
    expect(values).toEqual([1]);
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });
});

describe("an error handler that throws", () => {
  it("does not keep later events from listeners", () => {
    const notifier = notifierWith(() => {
      throw new Error("the log is full");
    });
    const values: number[] = [];
    const remove = notifier.on("changed", () => {
      throw new Error("a listener failed");
    });
    expect(() => notifier.emit("changed", 1)).toThrow("the log is full");
    remove();
    notifier.on("changed", (value) => values.push(value));
    notifier.emit("changed", 2);
    expect(values).toEqual([2]);
  });
});
