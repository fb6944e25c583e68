import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { describe, expect, it } from "vitest";
import { deferred } from "../../src/connection/clock.js";
import { ConnectionLoss } from "../../src/nats/connectionLoss.js";

const turn = () => new Promise((resolve) => setImmediate(resolve));

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
}

async function answerOnce(loss: ConnectionLoss): Promise<WeakRef<object>> {
  const answer = { answered: true };
  expect(await loss.unlessLost(Promise.resolve(answer))).toBe(answer);
  return new WeakRef(answer);
}

describe("the loss of a connection", () => {
  it("rejects all that is waited for, and all that is asked later", async () => {
    const loss = new ConnectionLoss();
    const never = deferred<string>();
    const waiting = loss.unlessLost(never.promise);
    loss.onLost(new Error("first"));
    loss.onLost(new Error("second"));
    await expect(waiting).rejects.toThrow("first");
    await expect(loss.unlessLost(never.promise)).rejects.toThrow("first");
  });

  it("passes answers and errors on", async () => {
    const loss = new ConnectionLoss();
    await expect(loss.unlessLost(Promise.resolve(1))).resolves.toBe(1);
    await expect(loss.unlessLost(Promise.reject(new Error("refused")))).rejects.toThrow("refused");
  });

  it("keeps no answer in memory", async () => {
    const loss = new ConnectionLoss();
    const answers = await Promise.all(Array.from({ length: 100 }, () => answerOnce(loss)));
    await turn();
    collectGarbage();
    expect(answers.filter((one) => one.deref() !== undefined)).toEqual([]);
  });
});
