import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as otel from "@opentelemetry/api";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { transform } from "esbuild";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { App, EventHandler, HttpError, On } from "../../src/index.js";
import { closes, start } from "../support/app.js";
import { examplesOf } from "./examples.js";
import { readPage, root } from "./pages.js";

const exporter = new InMemorySpanExporter();
/** In node_modules, so that the example finds the packages that it imports. */
const cache = join(root, "node_modules/.cache");
let folder = "";

/** Takes the parent of a span from the header `traceparent`, as `W3CTraceContextPropagator` of the SDK does. */
const propagator: otel.TextMapPropagator = {
  inject: () => undefined,
  extract: (context, carrier, getter) => {
    const [, traceId = "", spanId = ""] = String(getter.get(carrier, "traceparent")).split("-");
    return traceId === "" ? context : otel.trace.setSpanContext(context, { traceId, spanId, traceFlags: 1 });
  },
  fields: () => ["traceparent"],
};

beforeAll(async () => {
  const [example] = examplesOf(readPage("docs/diagnostics.md")).filter(({ file }) => file.endsWith("openTelemetry.ts"));
  if (example === undefined) throw new Error("the page has no example openTelemetry.ts");
  const { code } = await transform(example.block.code, { loader: "ts", format: "esm" });
  await mkdir(cache, { recursive: true });
  folder = await mkdtemp(join(cache, "enfilade-"));
  const file = join(folder, "openTelemetry.mjs");
  await writeFile(file, code);
  const { contextManager } = await import(pathToFileURL(file).href);
  const spanProcessors = [new SimpleSpanProcessor(exporter)];
  otel.trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors }));
  otel.context.setGlobalContextManager(contextManager);
  otel.propagation.setGlobalPropagator(propagator);
});

afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(() => exporter.reset());

class Rooms extends EventHandler {
  override authorize(): { id: string } {
    if (this.query.get("as") === "mallory") throw new HttpError(403);
    if (this.query.get("as") === "broken") throw new Error("no database");
    return { id: "ann" };
  }

  override onConnect(): void {
    // It is called in the handshake.
  }

  @On("add")
  async onAdd({ a, b }: { a: number; b: number }): Promise<number> {
    // As the span of a database, in a later turn.
    await new Promise((resolve) => setImmediate(resolve));
    otel.trace.getTracer("database").startSpan("query").end();
    this.emitToThisRoom("added", a + b);
    return a + b;
  }

  @On()
  onFail(): never {
    throw new Error("boom");
  }
}

async function startRooms() {
  const app = new App({ logger: { warn: () => undefined, error: () => undefined } });
  return start(app.route("/rooms/:room", Rooms));
}

/** The finished span of this name. */
function span(name: string): ReadableSpan {
  const [found, ...others] = exporter.getFinishedSpans().filter((one) => one.name === name);
  if (found === undefined || others.length > 0) {
    throw new Error(`not one span ${name}, but: ${exporter.getFinishedSpans().map((one) => one.name)}`);
  }
  return found;
}

it("records handshakes, calls of handlers and publications as spans", async () => {
  const { app, open } = await startRooms();
  const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
  const client = await open("/rooms/a", { headers: { traceparent } });
  client.sendJSON({ event: "add", data: { a: 1, b: 2 }, id: "1" });
  await client.read();
  await client.read();
  const left = closes(app, 1);
  await client.close();
  await left;

  const handshake = span("handshake /rooms/:room");
  expect(handshake.attributes).toEqual({
    "http.route": "/rooms/:room",
    "url.path": "/rooms/a",
    "http.response.status_code": 101,
  });
  expect(handshake.parentSpanContext).toMatchObject({ traceId: "a".repeat(32), spanId: "b".repeat(16) });
  const call = span("add /rooms/:room");
  expect(call.parentSpanContext).toBeUndefined();
  expect(call.links.map(({ context }) => context)).toEqual([handshake.spanContext()]);
  expect(call.attributes).toMatchObject({ "http.route": "/rooms/:room", "enfilade.event": "add" });
  expect(span("onConnect /rooms/:room").parentSpanContext).toBeUndefined();
  for (const name of ["query", "publish room"]) {
    expect(span(name).parentSpanContext?.spanId).toBe(call.spanContext().spanId);
    expect(span(name).spanContext().traceId).toBe(call.spanContext().traceId);
  }
  expect(span("publish room").attributes).toEqual({ "enfilade.kept": false });
});

it("records errors, and refusals without one", async () => {
  const { open } = await startRooms();
  await expect(open("/rooms/a?as=mallory")).rejects.toMatchObject({ status: 403 });
  const refused = span("handshake /rooms/:room");
  expect([refused.attributes["http.response.status_code"], refused.status.code]).toEqual([403, 0]);
  exporter.reset();
  await expect(open("/rooms/a?as=broken")).rejects.toMatchObject({ status: 500 });
  expect(span("handshake /rooms/:room").status.code).toBe(otel.SpanStatusCode.ERROR);
  const client = await open("/rooms/a");
  client.sendJSON({ event: "fail", id: "1" });
  await client.read();
  const failed = span("fail /rooms/:room");
  expect(failed.status.code).toBe(otel.SpanStatusCode.ERROR);
  expect(failed.events.map(({ attributes }) => attributes?.["exception.message"])).toEqual(["boom"]);
});

it("leaves publications outside of handlers to the active span", async () => {
  const { app } = await startRooms();
  const request = otel.trace.getTracer("http").startSpan("POST /news");
  await otel.context.with(otel.trace.setSpan(otel.ROOT_CONTEXT, request), () =>
    app.registry.room("/rooms/a").publish(1),
  );
  request.end();
  expect(span("publish room").parentSpanContext?.spanId).toBe(request.spanContext().spanId);
});
