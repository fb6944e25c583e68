import { describe, expect, it } from "vitest";
import { App, defaultLimits, EnfiladeError, type Limits, WebSocketHandler } from "../src/index.js";

class Quiet extends WebSocketHandler {
  override onMessage(): void {
    this.close();
  }
}

/** An app with one limit, of any name and value. */
function appWith(name: string, value: unknown): App {
  return Reflect.construct(App, [{ limits: { [name]: value } }]);
}

/** A route with one limit, of any name and value. */
function routeWith(name: string, value: unknown): unknown {
  const app = new App();
  return Reflect.apply(app.route, app, ["/x", Quiet, { limits: { [name]: value } }]);
}

const names = Object.keys(defaultLimits);
const times = names.filter((name) => /Ms(Max)?$/.test(name));
const counts = names.filter((name) => !/Ms(Max)?$/.test(name));
const appWide = [
  "connectionsMax",
  "connectionsPerAddressMax",
  "connectionsPerUserMax",
  "connectsPerSecondMax",
  "connectAddressesMax",
  "authorizeMax",
  "roomsMax",
  "handshakeMs",
  "pathBytesMax",
  "pathSegmentsMax",
  "memoryBytesMax",
] as const satisfies readonly (keyof Limits)[];
const optionError = expect.objectContaining({ code: "ERR_OPTION" });

describe("limits", () => {
  it("have the documented defaults", () => {
    expect(defaultLimits).toMatchObject({
      messageBytesMax: 65_536,
      fragmentsMax: 256,
      bufferedChunksMax: 512,
      messageMs: 10_000,
      turnMessagesMax: 256,
      turnBytesMax: 262_144,
      turnMs: 4,
      messagesPerSecondMax: Number.POSITIVE_INFINITY,
      bytesPerSecondMax: Number.POSITIVE_INFINITY,
      inflatedBytesPerSecondMax: 1_048_576,
      inboxMessagesMax: 64,
      highWaterBytes: 65_536,
      outboxBytesMax: 1_048_576,
      outboxAgeMsMax: 30_000,
      earlyMessagesMax: 1_000,
      requestsMax: 64,
      streamsMax: 16,
      streamGraceMs: 30_000,
      streamBytesMax: 1_048_576,
      absentStreamsMax: 1_000,
      streamsBytesMax: 33_554_432,
      flushConnectionsMax: 2_000,
      pathBytesMax: 512,
      pathSegmentsMax: 16,
      connectionsMax: 100_000,
      connectionsPerAddressMax: Number.POSITIVE_INFINITY,
      connectionsPerUserMax: 1_000,
      connectsPerSecondMax: Number.POSITIVE_INFINITY,
      connectAddressesMax: 100_000,
      authorizeMax: 1_000,
      refreshesPerMinuteMax: 30,
      presenceListMs: 1_000,
      roomsMax: 100_000,
      joinsMax: 128,
      handshakeMs: 10_000,
      authorizeMs: 5_000,
      heartbeatMs: 25_000,
      closeMs: 5_000,
      historyBytesMax: 67_108_864,
      memoryBytesMax: 134_217_728,
      replyBytesMax: 8_192,
      clientReceiptsBytesMax: 16_384,
      receiptsBytesMax: 33_554_432,
      subscriberMessagesMax: 1_000,
      recoverMessagesMax: 1_000,
      recoverBytesMax: 65_536,
      recoverTotalMessagesMax: Number.POSITIVE_INFINITY,
      receiptsMax: 128,
      receiptsMs: 300_000,
      receiptClientsMax: 10_000,
      tapEntriesMax: 1_000,
      tapBytesMax: 1_048_576,
    });
  });

  it.each(names)("accept the default of %s, one, and undefined", (name) => {
    expect(appWith(name, Reflect.get(defaultLimits, name))).toBeInstanceOf(App);
    expect(appWith(name, 1)).toBeInstanceOf(App);
    expect(appWith(name, undefined)).toBeInstanceOf(App);
  });

  it.each(
    names.flatMap((name) =>
      [0, -1, -0, Number.NaN, Number.NEGATIVE_INFINITY, "100", "", null, true, 10n, {}, [1], () => 1].map(
        (value) => [name, value] as const,
      ),
    ),
  )("refuse for %s the value %o", (name, value) => {
    expect(() => appWith(name, value)).toThrow(EnfiladeError);
    expect(() => appWith(name, value)).toThrow(optionError);
  });

  it.each(counts)("refuse for %s a number that is not an integer", (name) => {
    expect(() => appWith(name, 1.5)).toThrow(optionError);
    expect(() => appWith(name, 2 ** 53)).toThrow(optionError);
  });

  it.each(times)("refuse for %s more than a timer can wait", (name) => {
    expect(appWith(name, 2 ** 31 - 1)).toBeInstanceOf(App);
    expect(() => appWith(name, 2 ** 31)).toThrow(optionError);
    expect(() => appWith(name, Number.POSITIVE_INFINITY)).toThrow(optionError);
  });

  it.each(counts)("accept Infinity for %s", (name) => {
    expect(appWith(name, Number.POSITIVE_INFINITY)).toBeInstanceOf(App);
  });

  it("accept false for the heartbeat, and for no other limit", () => {
    expect(appWith("heartbeatMs", false)).toBeInstanceOf(App);
    expect(routeWith("heartbeatMs", false)).toBeInstanceOf(App);
    for (const name of names.filter((one) => one !== "heartbeatMs")) {
      expect(() => appWith(name, false)).toThrow(optionError);
    }
  });

  it.each(["messagesBytesMax", "messagebytesmax", "", "toString", "__proto__x", "constructor"])(
    "refuse the unknown name %j, and list the known names",
    (name) => {
      expect(() => appWith(name, 1)).toThrow(optionError);
      expect(() => appWith(name, 1)).toThrow(/messageBytesMax.*closeMs/);
      expect(() => routeWith(name, 1)).toThrow(optionError);
    },
  );

  it("name the limit, its accepted values and the given value", () => {
    expect(() => appWith("roomsMax", -1)).toThrow(/roomsMax.*number.*-1/);
    expect(() => appWith("closeMs", "5s")).toThrow(/closeMs.*milliseconds.*"5s"/);
    expect(() => appWith("messagesBytesMax", 1)).toThrow(/no limit "messagesBytesMax"; did you mean "messageBytesMax"/);
  });

  it.each(appWide)("refuse %s, a limit of the whole app, on a route and on a scope", (name) => {
    expect(() => routeWith(name, 10)).toThrow(optionError);
    expect(() => routeWith(name, 10)).toThrow(/whole app/);
    const scope = () => Reflect.apply(App.prototype.scope, new App(), ["/a", () => 1, { limits: { [name]: 10 } }]);
    expect(scope).toThrow(optionError);
  });

  it("are checked on a route before it is added", () => {
    const app = new App();
    expect(() => app.route("/x", Quiet, { limits: { joinsMax: 0 } })).toThrow(optionError);
    expect(app.routes).toEqual([]);
    expect(app.route("/x", Quiet, { limits: { joinsMax: 1 } }).routes).toHaveLength(1);
  });

  it("do not change the passed object or the defaults", () => {
    const given = Object.freeze({ roomsMax: 5 });
    expect(new App({ limits: given })).toBeInstanceOf(App);
    expect(given).toEqual({ roomsMax: 5 });
    expect(defaultLimits.roomsMax).toBe(100_000);
  });

  it.each<[what: string, limits: unknown]>([
    ["null", null],
    ["a number", 7],
    ["a string", "closeMs"],
    ["a list", [1]],
  ])("refuse %s instead of an object", (_what, limits) => {
    expect(() => Reflect.construct(App, [{ limits }])).toThrow(optionError);
  });
});
