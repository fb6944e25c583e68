import { upgradeRequest } from "../../../test/support/raw.js";
import { closeFrame, frame, jsonFrame, Opcode, textFrame } from "../../clients/frames.js";
import { openMany, RawSocket } from "../../clients/rawSocket.js";
import type { Row, Scene } from "../../scene.js";
import type { ServerProcess } from "../../serverProcess.js";

const MB = 1024 * 1024;
const endMs = 5_000;
const perAddressMax = 5;
/** Names that objects have, or that change how they work. */
const names = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "__defineGetter__", "valueOf"];
/** Line breaks, a terminal command, C1 controls, bidirectional controls, separators, and half a surrogate pair. */
const marks = [
  "\r\nfake: line",
  "\u001b[31mred",
  "\u009bred",
  "\u0085next",
  "\u202egnp.exe",
  "\u2066x",
  "\u2028",
  "\ud800",
];
const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u;

async function statusOf(port: number, request: string): Promise<string> {
  const client = await RawSocket.dial(port);
  client.socket.write(Buffer.from(request, "utf8"));
  client.socket.once("data", () => client.destroy());
  const timer = setTimeout(() => client.destroy(), endMs);
  await client.ended;
  clearTimeout(timer);
  return client.head.slice(9, 12);
}

/** Without `trustProxy`, forwarding headers change nothing: all clients have the address of their connection. */
async function forwarding(scene: Scene): Promise<void> {
  const server = await scene.start({ limits: { connectionsPerAddressMax: perAddressMax + 1 } });
  const clients = await openMany(perAddressMax, (index) =>
    RawSocket.open(server.port, "/echo/a", { headers: { "X-Forwarded-For": `10.0.0.${index}` } }),
  );
  const spoofed: readonly Record<string, string>[] = [
    { "X-Forwarded-For": "1.2.3.4" },
    { Forwarded: "for=1.2.3.4;proto=https;host=example.com" },
    { "X-Real-IP": "1.2.3.4", "X-Forwarded-Host": "example.com", "X-Forwarded-Proto": "https" },
    { "X-Forwarded-For": "::1, 10.0.0.1, unknown, _hidden" },
    { "X-Client-IP": "1.2.3.4", "CF-Connecting-IP": "1.2.3.4", "True-Client-IP": "1.2.3.4" },
    { Forwarded: 'for="[2001:db8::1]:80", for=unknown' },
    { "X-Forwarded-For": ",".repeat(5_000) },
    { Forwarded: `for="${"\\".repeat(4_000)}` },
  ];
  for (const headers of spoofed) {
    const status = await statusOf(server.port, upgradeRequest("/echo/a", headers));
    scene.equal(`past the limit of its address, with ${Object.keys(headers)}`, status, "429");
  }
  for (const client of clients) client.destroy();
}

/** Names of objects in every place where a client chooses a name. */
async function objectNames(scene: Scene, server: ServerProcess): Promise<void> {
  for (const name of names) {
    const target = `/kept/${name}?user=${name}&${name}=x&client=${name}-0123456789abcdef`;
    const client = await RawSocket.openV1(server.port, target, { headers: { [name]: "x" } });
    client.write(textFrame(`{"type":"event","event":"${name}","data":{"${name}":{"polluted":1}},"id":"${name}"}`));
    client.write(textFrame(`{"type":"event","event":"join","data":"/kept/${name}-2","id":"a"}`));
    client.write(textFrame(`{"type":"message","data":{"__proto__":{"polluted":1}},"${name}":1,"id":"b"}`));
    client.write(textFrame(`{"${name}":1,"type":"watch"}`));
    client.write(jsonFrame({ type: "event", event: "mine", data: name, id: "last" }));
    const replies = new Map<string, unknown>();
    while (!replies.has("last")) {
      const one = JSON.parse(await client.nextText()) as { type: string; id?: string; data?: unknown };
      if (one.type === "reply") replies.set(String(one.id), one.data);
    }
    scene.equal(`${name}: the replies`, [...replies.keys()].toSorted(), ["a", "b", "last", name].toSorted());
    scene.equal(`${name}: its own reply`, replies.get("last"), { user: name, value: name });
    client.destroy();
  }
  scene.equal("new names on Object.prototype", (await server.measure()).pollution, []);
}

/** Characters that change a log, in every place that a log line may quote. */
async function logLines(scene: Scene, server: ServerProcess): Promise<void> {
  const before = (await server.log()).count;
  const kinds = 4;
  for (const mark of marks) {
    const encoded = Buffer.from(mark).reduce((text, byte) => `${text}%${byte.toString(16).padStart(2, "0")}`, "");
    const header = mark.replace(/[\r\n\p{Cc}]/gu, "?");
    await statusOf(server.port, upgradeRequest(`/nowhere/${encoded}`));
    await statusOf(server.port, upgradeRequest(`/echo/${encoded}`));
    await statusOf(server.port, upgradeRequest("/echo/a", { Origin: `http://evil.example/${header}` }));
    await statusOf(server.port, upgradeRequest(`/nowhere?${encoded}`, { Host: `x${header}` }));
    const client = await RawSocket.openV1(server.port, "/work/log");
    client.write(jsonFrame({ type: "event", event: `no ${mark}`, data: mark, id: 1 }));
    await client.nextText();
    client.destroy();
  }
  const { lines, count, errors } = await server.log();
  for (const line of lines.filter((one) => unsafe.test(one))) scene.fail(`a log line with ${JSON.stringify(line)}`);
  for (const error of errors) scene.fail(`expected no error of the app, came ${error.slice(0, 200)}`);
  // At most one line for each of these requests.
  scene.atMost("log lines for these requests", count - before, marks.length * (kinds + 1));
}

/** Names of 10 MB: refused or closed, without the memory for them. */
async function hugeNames(scene: Scene, server: ServerProcess): Promise<void> {
  const huge = "x".repeat(scene.pick(10, 10) * MB);
  await server.resetPeaks();
  const before = await server.measure();
  for (const [name, request, statuses] of [
    ["a path", upgradeRequest(`/echo/${huge}`), ["400", "414", "431"]],
    ["a query", upgradeRequest(`/echo/a?${huge}`), ["400", "414", "431"]],
    ["a header", upgradeRequest("/echo/a", { "X-Huge": huge }), ["431", "400"]],
    ["a header's name", upgradeRequest("/echo/a", { [huge]: "x" }), ["431", "400"]],
  ] as const) {
    const status = await statusOf(server.port, request);
    // A server that ends a connection with unread bytes resets it, and the answer can be lost.
    if (![...statuses, ""].includes(status)) scene.fail(`10 MB in ${name}: expected ${statuses}, came ${status}`);
  }
  for (const payload of [`{"type":"event","event":"${huge}"}`, `{"type":"message","id":"${huge}"}`]) {
    const client = await RawSocket.openV1(server.port, "/work/huge");
    client.write(textFrame(payload));
    const timer = setTimeout(() => client.destroy(), endMs);
    scene.equal("10 MB in a message", (await client.ended).code, 1009);
    clearTimeout(timer);
  }
  const { peakHeap } = await server.measure(false);
  scene.atMost("10 MB names: memory more, MB", (peakHeap - before.heap - before.external) / MB, 32);
}

/** Positions and ids of no valid form. */
async function hostileIds(scene: Scene, server: ServerProcess): Promise<void> {
  const positions = ["", ":", "a", "a:", ":1", "a:-1", "a:1.5", "a:9007199254740993", "a:1e3", "__proto__:1", "a:0x1"];
  for (const since of [...positions, "x".repeat(5_000), "a:1&since=b:2", "%00:1", "a%0d%0a:1", "a:1:2"]) {
    const client = await RawSocket.open(server.port, `/kept/since?since=${since}`, { subprotocol: "enfilade.v1" });
    const welcome = JSON.parse(await client.nextText()) as { type: string; recovered?: boolean };
    const came = [welcome.type, welcome.recovered ?? false];
    scene.equal(`since=${since.slice(0, 40)}`, came, ["welcome", false]);
    client.destroy();
  }
  const ids = [-1, 1.5, 2 ** 53, -0.1, 1e300, "", "x".repeat(65), null, true, [], {}, [1], { id: 1 }];
  for (const id of ids) {
    const client = await RawSocket.openV1(server.port, "/work/ids");
    client.write(jsonFrame({ type: "event", event: "mine", data: 1, id }));
    const timer = setTimeout(() => client.destroy(), endMs);
    const { code } = await client.ended;
    clearTimeout(timer);
    scene.equal(`the id ${JSON.stringify(id).slice(0, 20)}`, code, 4500);
  }
}

/** A client that knows the client id of another one gets none of its replies. */
async function othersIds(scene: Scene, server: ServerProcess): Promise<void> {
  let pairs = 0;
  const target = (user: string) =>
    `/work/shared?client=known-0123456789abcdef-${pairs}${user === "" ? "" : `&user=${user}`}`;
  const ask = async (client: RawSocket, value: string) => {
    client.write(jsonFrame({ type: "event", event: "mine", data: value, id: 7 }));
    return (JSON.parse(await client.nextText()) as { data: { value: string } }).data?.value;
  };
  for (const [first, second] of [
    ["ann", "bob"],
    ["ann", ""],
    ["", ""],
  ] as const) {
    pairs += 1;
    const victim = await RawSocket.openV1(server.port, target(first));
    scene.equal("its own reply", await ask(victim, `secret of ${first}`), `secret of ${first}`);
    const thief = await RawSocket.openV1(server.port, target(second));
    const nameOf = (user: string) => (user === "" ? "an anonymous client" : user);
    scene.equal(
      `the reply to ${nameOf(second)} with the client id of ${nameOf(first)}`,
      await ask(thief, "mine"),
      "mine",
    );
    for (const client of [victim, thief]) {
      client.write(frame({ opcode: Opcode.close }));
      client.destroy();
    }
    await scene.until("both have left", 2_000, async () => (await server.status()).connections <= 1);
  }
}

export const spoofing: Row = {
  number: 20,
  title: "spoofed headers, names, log lines, ids",
  expected: "limits hold, one log line each, Object.prototype untouched, only one's own replies",
  seconds: 60,
  async run(scene) {
    await forwarding(scene);
    const server = await scene.start();
    await objectNames(scene, server);
    await logLines(scene, server);
    await hugeNames(scene, server);
    await hostileIds(scene, server);
    await othersIds(scene, server);
    const last = await RawSocket.open(server.port, "/echo/last");
    last.write(closeFrame(1000));
    scene.equal("a close at the end", (await last.ended).code, 1000);
  },
};
