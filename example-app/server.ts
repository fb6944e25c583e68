import { createServer, type Server } from "node:http";
import { App } from "enfilade";
import type { Backplane } from "enfilade/backplane";
import { Chat, tellOfPeople } from "./chat.js";
import { createSite } from "./site.js";

/**
 * The chat, ready to listen: Express answers HTTP, and the app takes the WebSockets of the same server.
 *
 * @param backplane What keeps the history. Default: this process, so that it ends with it.
 */
export function createChat(backplane?: Backplane): { app: App; server: Server } {
  const app = new App({ handlers: [Chat], backplane });
  tellOfPeople(app);
  const server = createServer(createSite(app));
  app.attach(server);
  return { app, server };
}
