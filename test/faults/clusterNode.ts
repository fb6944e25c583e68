/**
 * A node in a process of its own, to be killed: `node --import tsx clusterNode.ts redis|nats <url> <limits as JSON>`.
 *
 * Its first line has its port, and each other line the join of a user. It publishes to the room as fast as possible.
 */
import { App, type Limits } from "../../src/index.js";
import { nats } from "../../src/nats/index.js";
import { redis } from "../../src/redis/index.js";
import { Talker } from "../backplane/talker.js";

const [engine, url = "", limits = "{}", path = "", historySize = ""] = process.argv.slice(2);

const backplane = engine === "redis" ? redis(url) : nats(url, { storage: "memory" });
// The test wrote the text that JSON.parse reads here.
const app = new App({ backplane, limits: JSON.parse(limits) as Partial<Limits> }).route("/kept/:name", Talker, {
  history: { size: Number(historySize), bytesMax: 64 * 1024 * 1024 },
  presence: { mode: "full", leaveGraceMs: 0 },
});
const { port } = await app.listen(0, "127.0.0.1");
console.log(port);
app.registry.on("join", (_room, { id }) => console.log(`join ${id}`));
// The parent process has ended, so this one ends too.
process.stdin.resume().on("close", () => process.exit());
for (let n = 0; ; n += 1) {
  try {
    await app.registry.room(path).publish(`child-${n}`);
  } catch (error) {
    console.error(error);
  }
}
