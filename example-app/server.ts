import { createServer, type Server } from "node:http";
import { App } from "enfilade";
import type { Backplane } from "enfilade/backplane";
import { Chat, reportPeople } from "./chat.js";
import { createSite } from "./site.js";

/**
 * Creates the chat, ready to listen: Express answers HTTP, and the app accepts WebSockets on the same server.
 *
 * @param backplane Connects processes and keeps the history. Default: the memory of this process.
 */
export function createChat(backplane?: Backplane): { app: App; server: Server } {
  const app = new App({ handlers: [Chat], backplane });
  reportPeople(app);
  const server = createServer(createSite(app));
  app.attach(server);
  return { app, server };
}
