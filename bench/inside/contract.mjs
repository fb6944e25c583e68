/**
 * The common part of the programs that measure Enfilade within their own process, mostly with in-memory connections.
 *
 * A program gets its settings as JSON in its only argument. Its last output is one line of JSON: its outcome, or the
 * reason of its failure.
 */
import { App, WebSocketHandler } from "../../dist/index.js";
import { connect } from "../../dist/testing/index.js";

/** @type {Record<string, number>} */
export const settings = JSON.parse(process.argv[2]);

process.on("uncaughtException", (error) => {
  console.log(JSON.stringify({ event: "failed", why: error.message }));
  process.exit(1);
});

export class QuietHandler extends WebSocketHandler {
  onMessage() {
    throw new Error("no client sends messages in this workload");
  }
}

/** Creates an app with default options in which every path is a room. */
export function createQuietApp() {
  return new App().route("/**", QuietHandler);
}

/**
 * Connects a client to every `each`th path, which is the home of its connection.
 *
 * @param {App} app @param {readonly string[]} paths @param {number} each
 */
export async function connectAll(app, paths, each) {
  const clients = [];
  for (let i = 0; i < paths.length; i += each) clients.push(await connect(app, paths[i]));
  return clients;
}

/** Joins each of these connections to the paths that follow its home, so that every path is a room of one member. */
export function joinAll(app, paths, each) {
  const homes = new Map(app.registry.connections.map((connection) => [connection.request.path, connection]));
  for (let i = 0; i < paths.length; i++) app.registry.join(homes.get(paths[i - (i % each)]), paths[i]);
}

/** @param {unknown} actual @param {unknown} expected @param {string} label */
export function check(actual, expected, label) {
  if (actual !== expected) throw new Error(`${label}: expected ${expected}, got ${actual}`);
}

/** @param {import("../report.mjs").Outcome} outcome */
export function finish(outcome) {
  console.log(JSON.stringify({ event: "result", ...outcome }));
  process.exit();
}
