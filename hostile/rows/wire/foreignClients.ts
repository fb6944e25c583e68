import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { WebSocket as UndiciSocket } from "undici";
import { command } from "../../../test/support/parts.js";
import type { Scene } from "../../scene.js";
import type { ServerProcess } from "../../serverProcess.js";

/** A client that is not part of this project. It sends messages of many lengths, and expects each of them back. */
interface ForeignClient {
  readonly name: string;
  run(scene: Scene, server: ServerProcess, name: string): Promise<void>;
}

const lengths = [0, 1, 125, 126, 127, 1_000, 65_535, 65_536];
const programMs = 20_000;
const script = (name: string) => fileURLToPath(new URL(`foreign/${name}`, import.meta.url));

async function runUndici(scene: Scene, server: ServerProcess, name: string): Promise<void> {
  for (const route of ["/echo/undici", "/squeezed/undici"]) {
    const socket = new UndiciSocket(server.url(route));
    socket.binaryType = "arraybuffer";
    await once(socket, "open");
    for (const length of lengths) {
      for (const sent of ["é".repeat(length / 2), Uint8Array.from({ length }, (_, at) => at % 251)]) {
        const answer = once(socket, "message");
        socket.send(sent);
        const [{ data }] = (await answer) as [{ data: string | ArrayBuffer }];
        const came = typeof data === "string" ? data : new Uint8Array(data);
        if (String(came) !== String(sent)) scene.fail(`${name} on ${route}: the echo of ${length} bytes is not equal`);
      }
    }
    const closed = once(socket, "close");
    socket.close(3_000, "good-natured");
    const [{ code, reason }] = (await closed) as [{ code: number; reason: string }];
    scene.equal(`${name} on ${route}: the close`, [code, reason], [3_000, "good-natured"]);
  }
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
  { name: "undici", run: runUndici },
  program("python3-websockets", python, [script("echo_websockets.py")], ["-c", "import websockets"]),
  program("python3-wsproto", python, [script("echo_wsproto.py")], ["-c", "import wsproto"]),
  program("Go gorilla", "/bin/sh", [script("echo_gorilla.sh")], [script("echo_gorilla.sh"), "--probe"], true),
];
