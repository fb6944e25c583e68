import { createServer, type Server } from "node:http";
import { App } from "enfilade";
import { Chat } from "./chat.js";
import { createSite } from "./site.js";

/** The chat, ready to listen: Express answers HTTP, and the app takes the WebSockets of the same server. */
export function createChat(): { app: App; server: Server } {
  const app = new App({ handlers: [Chat] });
  const server = createServer(createSite(app));
  app.attach(server);
  return { app, server };
}
