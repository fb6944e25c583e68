import { WebSocket } from "ws";
import type { MessageFrame, WelcomeFrame } from "../../src/wire/frames.js";

type Frame = MessageFrame | WelcomeFrame | { readonly type: "other" };

/** The first few faults are enough. */
const faultsMax = 5;

/**
 * A class of sockets for `enfilade/client` that check the offsets of the publications on each connection. The client
 * hides a publication that comes twice or too late from its user, and reports a jump as a loss, so a check of what the
 * user gets would not show such faults of a server.
 */
export function checkedSocketClass(faults: string[]): new (url: string, protocols?: string[]) => WebSocket {
  const report = (fault: string) => {
    if (faults.length < faultsMax) faults.push(fault);
  };
  return class CheckedSocket extends WebSocket {
    constructor(url: string, protocols?: string[]) {
      super(url, protocols);
      const [since] = new URL(url).searchParams.get("since")?.split(":").slice(-1) ?? [];
      const room = new URL(url).pathname;
      let last: number | undefined;
      this.on("message", (data) => {
        // A frame of our server.
        const frame = JSON.parse(String(data)) as Frame;
        if (frame.type === "welcome") {
          last = frame.position?.offset;
          const isBehind = since !== undefined && last !== undefined && last < Number(since);
          if (isBehind) report(`${room}: expected to resume at ${since}, came ${last}`);
        } else if (frame.type === "message" && frame.offset !== undefined) {
          if (last !== undefined && frame.offset !== last + 1) {
            report(`${room}: expected offset ${last + 1} on a connection, came ${frame.offset}`);
          }
          last = frame.offset;
        }
      });
    }
  };
}
