import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import {
  App,
  anonymous,
  type ConnectionRequest,
  type DiagnosticMessages,
  EnfiladeError,
  HttpError,
  type Limits,
  type RefusalReason,
  WebSocketHandler,
} from "../../src/index.js";
import type { TestClient } from "../../src/testing/index.js";
import { readPage, root } from "../docs/pages.js";
import { Mailbox, type RunningApp, start } from "../support/app.js";
import { rawClient, upgradeRequest } from "../support/raw.js";

type Refused = DiagnosticMessages["enfilade:refuse"];

function listen(): Mailbox<Refused> {
  const mailbox = new Mailbox<Refused>();
  // Each channel has one type of message, which Node's types do not know.
  const onMessage = (message: unknown) => mailbox.put(message as Refused);
  subscribe("enfilade:refuse", onMessage);
  onTestFinished(() => {
    unsubscribe("enfilade:refuse", onMessage);
  });
  return mailbox;
}

/** Holds the calls of `authorize` for the user `slow`. */
interface Gate {
  readonly arrived: Mailbox<string>;
  readonly opened: Mailbox<boolean>;
}

let gate: Gate;

class Door extends WebSocketHandler<{ number: number }, { id: string } | undefined> {
  override authorize({ query }: ConnectionRequest) {
    const id = query.get("user");
    if (id === null) return anonymous;
    if (id === "mallory") throw new HttpError(402);
    if (id === "bug") throw new EnfiladeError("ERR_OPTION", "a bug of the application");
    if (id !== "slow") return { id };
    gate.arrived.put(id);
    return gate.opened.have(1).then(() => ({ id }));
  }
  override onMessage(): void {
    this.close();
  }
}

interface Case {
  readonly status: number;
  readonly limits?: Partial<Limits>;
  /** Has the app refuse one client. */
  readonly refuse: (running: RunningApp) => Promise<unknown>;
}

const open =
  (...targets: readonly string[]) =>
  async (running: RunningApp): Promise<unknown> => {
    const clients: TestClient[] = [];
    for (const target of targets) clients.push(await running.open(target));
    return clients;
  };

/** Has a client wait in `authorize`, and then does something else. */
const meanwhile =
  (act: (running: RunningApp) => unknown) =>
  async (running: RunningApp): Promise<unknown> => {
    const slow = running.open("/door/1?user=slow");
    const settled = slow.catch((error: unknown) => error);
    await gate.arrived.have(1);
    try {
      await act(running);
    } finally {
      gate.opened.put(true);
    }
    const result = await settled;
    if (result instanceof Error) throw result;
    return result;
  };

const cases: Readonly<Record<RefusalReason, Case>> = {
  request: {
    status: 426,
    refuse: async ({ port }) => {
      const { socket, ended } = await rawClient(port);
      socket.write(upgradeRequest("/door/1", { "Sec-WebSocket-Version": "12" }));
      throw new Error((await ended).toString("latin1"));
    },
  },
  path: { status: 400, refuse: open("/door/%ff") },
  route: { status: 404, refuse: open("/nowhere") },
  params: { status: 400, refuse: open("/door/seven") },
  origin: {
    status: 403,
    refuse: (running) => running.open("/door/1", { headers: { origin: "https://evil.example" } }),
  },
  authorize: { status: 402, refuse: open("/door/1?user=mallory") },
  revoked: { status: 401, refuse: meanwhile(({ app }) => app.revoke({ user: "slow" })) },
  timeout: { status: 503, limits: { authorizeMs: 1 }, refuse: open("/door/1?user=slow") },
  error: { status: 500, refuse: open("/door/1?user=bug") },
  rate: { status: 429, limits: { connectsPerSecondMax: 1 }, refuse: open("/door/1", "/door/1", "/door/1") },
  address: { status: 429, limits: { connectionsPerAddressMax: 1 }, refuse: open("/door/1", "/door/1") },
  user: {
    status: 429,
    limits: { connectionsPerUserMax: 1 },
    refuse: open("/door/1?user=ann", "/door/1?user=ann"),
  },
  connections: { status: 503, limits: { connectionsMax: 1 }, refuse: open("/door/1", "/door/1") },
  handshakes: { status: 503, limits: { authorizeMax: 1 }, refuse: meanwhile(open("/door/1")) },
  rooms: { status: 503, limits: { roomsMax: 1 }, refuse: open("/door/1", "/door/2") },
  draining: {
    status: 503,
    refuse: async (running) => {
      await running.open("/door/1");
      const drained = running.app.drain({ withinMs: 60_000 });
      onTestFinished(() => void drained);
      await running.open("/door/1");
    },
  },
  closing: {
    status: 503,
    refuse: meanwhile(async ({ app }) => {
      const closed = app.close({ timeoutMs: 5_000 });
      gate.opened.put(true);
      await closed;
    }),
  },
};

it.each(Object.entries(cases))("a refusal has its reason: %s", async (reason, { status, limits, refuse }) => {
  gate = { arrived: new Mailbox(), opened: new Mailbox() };
  onTestFinished(() => gate.opened.put(true));
  const refused = listen();
  const running = await start(
    new App({ limits: { ...limits } }).route("/door/:number", Door, {
      params: z.object({ number: z.coerce.number() }),
    }),
  );
  await expect(refuse(running)).rejects.toThrow();
  expect((await refused.have(1)).map((one) => [one.reason, one.status])).toEqual([[reason, status]]);
});

it("docs/diagnostics.md has a row for each reason", () => {
  const rows = readPage("docs/diagnostics.md").prose.filter((line) => line.startsWith("| `"));
  const hasRow = (reason: string) => rows.some((row) => row.split("|")[1]?.includes(`\`${reason}\``));
  expect(Object.keys(cases).filter((reason) => !hasRow(reason))).toEqual([]);
  const source = readFileSync(join(root, "src/connection/transport.ts"), "utf8");
  expect([...source.matchAll(/^ {2}\| "(\w+)"/gm)].map(([, name]) => name).sort()).toEqual(Object.keys(cases).sort());
});
