import { WebSocket } from "ws";

/** The open sockets of `enfilade/client` in this process. */
export const trackedSockets = new Set<WebSocket>();

/** A socket for `enfilade/client` that this process can cut. */
export class TrackedSocket extends WebSocket {
  constructor(url: string, protocols?: string[]) {
    super(url, protocols);
    trackedSockets.add(this);
    this.once("close", () => trackedSockets.delete(this));
  }
}
