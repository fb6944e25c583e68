import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { WebSocket as UndiciSocket } from "undici";
import { command } from "../../../test/support/parts.js";
import type { Scene } from "../../scene.js";
import type { ServerProcess } from "../../serverProcess.js";

/** A client that is not part of this project. It sends messages of many lengths, and expects each of them back. */
interface ForeignClient {
  readonly name: string;
  run(scene: Scene, server: ServerProcess): Promise<void>;
}

const lengths = [0, 1, 125, 126, 127, 1_000, 65_535, 65_536];
/** Milliseconds for a program; Go compiles it first. */
const programMs = 60_000;
const script = (name: string) => fileURLToPath(new URL(`foreign/${name}`, import.meta.url));

/** A client with the interface of the browser. */
type StandardSocket = EventTarget & Pick<UndiciSocket, "send" | "close">;
type Data = string | ArrayBuffer | Buffer;

// It has no types. Its class has the interface of the browser.
const { Client: FayeSocket } = createRequire(import.meta.url)("faye-websocket") as {
  Client: new (url: string) => StandardSocket;
};

const bytesOf = (data: Data) => (typeof data === "string" ? Buffer.from(data) : Buffer.from(new Uint8Array(data)));

function openUndici(url: string): StandardSocket {
  const socket = new UndiciSocket(url);
  socket.binaryType = "arraybuffer";
  return socket;
}

/** A client in this process, on a route without compression and on one with it. */
function standard(name: string, open: (url: string) => StandardSocket): ForeignClient {
  return {
    name,
    async run(scene, server) {
      for (const route of ["/echo/standard", "/squeezed/standard"]) {
        await runStandard(scene, `${name} on ${route}`, open(server.url(route)));
      }
    },
  };
}

async function runStandard(scene: Scene, name: string, socket: StandardSocket): Promise<void> {
  await once(socket, "open");
  for (const length of lengths) {
    for (const sent of ["é".repeat(length / 2), Buffer.from(Array.from({ length }, (_, at) => at % 251))]) {
      const answer = once(socket, "message");
      socket.send(sent);
      const [{ data }] = (await answer) as [{ data: Data }];
      const isEqual = typeof data === typeof sent && bytesOf(data).equals(bytesOf(sent));
      if (!isEqual) scene.fail(`${name}: the echo of ${length} bytes is not equal`);
    }
  }
  const closed = once(socket, "close");
  socket.close(3_000, "good-natured");
  const [{ code, reason }] = (await closed) as [{ code: number; reason: string }];
  scene.equal(`${name}: the close`, [code, reason], [3_000, "good-natured"]);
}

/** A client in another program: it prints `ok`, or what came, and ends with 0 if all is right. */
function program(
  name: string,
  executable: string,
  args: readonly string[],
  probe: readonly string[],
  isOptional = false,
): ForeignClient {
  return {
    name,
    async run(scene, server) {
      if (spawnSync(executable, probe).status !== 0) {
        scene.skip(name, `${executable} ${probe.join(" ")} does not work on this machine`, isOptional);
        return;
      }
      const child = spawn(executable, [...args, server.url("/echo/foreign"), lengths.join(",")]);
      const timer = setTimeout(() => child.kill("SIGKILL"), programMs);
      let output = "";
      for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (output += text));
      const [code] = await once(child, "close");
      clearTimeout(timer);
      if (code !== 0 || !output.includes("ok"))
        scene.fail(`${name}: expected "ok", came ${code} ${output.slice(-400)}`);
    },
  };
}

const python = command("python");

/** Go is large, so `.ci/run` does not install it; a machine that has it, and gorilla of Debian, runs it. */
export const foreignClients: readonly ForeignClient[] = [
  standard("undici", openUndici),
  standard("faye-websocket", (url) => new FayeSocket(url)),
  program("python3-websockets", python, [script("echo_websockets.py")], ["-c", "import websockets"]),
  program("python3-wsproto", python, [script("echo_wsproto.py")], ["-c", "import wsproto"]),
  program("Go gorilla", "/bin/sh", [script("echo_gorilla.sh")], [script("echo_gorilla.sh"), "--probe"], true),
];
