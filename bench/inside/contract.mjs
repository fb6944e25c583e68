/**
 * What the programs have in common that measure Enfilade inside their own process, mostly with connections in memory.
 *
 * A program is started with one argument, its settings as JSON, and ends with one line of JSON: its outcome, or why it
 * failed.
 */
import { App, WebSocketHandler } from "../../dist/index.js";
import { connect } from "../../dist/testing/index.js";

/** @type {Record<string, number>} */
export const settings = JSON.parse(process.argv[2]);

process.on("uncaughtException", (error) => {
  console.log(JSON.stringify({ event: "failed", why: error.message }));
  process.exit(1);
});

export class Quiet extends WebSocketHandler {
  onMessage() {
    throw new Error("nobody sends here");
  }
}

/** An app with default options, where every path is a room. */
export function quietApp() {
  return new App().route("/**", Quiet);
}

/**
 * Connects a client to every `each`th path, the home of its connection.
 *
 * @param {App} app @param {readonly string[]} paths @param {number} each
 */
export async function connectAll(app, paths, each) {
  const clients = [];
  for (let i = 0; i < paths.length; i += each) clients.push(await connect(app, paths[i]));
  return clients;
}

/** Has each of those connections join the paths behind its home, so that every path is a room of one member. */
export function joinAll(app, paths, each) {
  const homes = new Map(app.registry.connections.map((connection) => [connection.request.path, connection]));
  for (let i = 0; i < paths.length; i++) app.registry.join(homes.get(paths[i - (i % each)]), paths[i]);
}

/** @param {unknown} came @param {unknown} expected @param {string} what */
export function check(came, expected, what) {
  if (came !== expected) throw new Error(`${what}: ${came} came, ${expected} was expected`);
}

/** @param {import("../report.mjs").Outcome} outcome */
export function finish(outcome) {
  console.log(JSON.stringify({ event: "result", ...outcome }));
  process.exit();
}
