import { type App, roomPath } from "enfilade";
import { json, type Request, type Response, Router } from "express";
import { z } from "zod";
import { chatRoute } from "./chat.js";
import { Announcement, ChannelName, describeProblem, type FromServer, PersonName } from "./messages.js";

/** Channels that are listed even when they are empty. */
const defaultChannels = ["general", "random", "help"];
const chatPrefix = "/chat/";
const Entry = z.object({ channel: ChannelName, name: PersonName });

export function createAPI(app: App): Router {
  const api = Router();
  api.get("/channels", async (_request, response) => response.json(await listChannels(app)));
  api.get("/status", (_request, response) => response.json(app.status()));
  api.get("/ready", (_request, response) => response.sendStatus(app.status().ready ? 204 : 503));
  api.get("/entry", checkEntry);
  api.post("/announce", json({ limit: "16kb" }), (request, response) => announce(app, request, response));
  return api;
}

/**
 * Lists the default channels and every channel that has a client on this node. Each comes with the number of people in
 * it on all nodes.
 */
async function listChannels({ registry }: App): Promise<{ channel: string; people: number }[]> {
  const openRooms = registry.rooms.filter(({ path }) => path.startsWith(chatPrefix));
  const names = new Set([...defaultChannels, ...openRooms.map(({ path }) => path.slice(chatPrefix.length))]);
  const countPeople = async (channel: string) => {
    const { count } = await registry.room(roomPath(chatRoute, { channel })).presence();
    return { channel, people: count };
  };
  return Promise.all([...names].map(countPeople));
}

/**
 * Answers 204 if a WebSocket with this channel and name would be accepted. Otherwise the answer has the reason, which a
 * browser does not show to the page when a handshake fails. The status is then 200, because a browser logs every 400
 * as an error in its console.
 */
function checkEntry(request: Request, response: Response): void {
  const entry = Entry.safeParse(request.query);
  if (entry.success) response.sendStatus(204);
  else response.json({ error: describeProblem(entry.error), field: entry.error.issues[0]?.path[0] });
}

function announce(app: App, request: Request, response: Response): void {
  const announcement = Announcement.safeParse(request.body);
  if (!announcement.success) {
    response.status(400).json({ error: describeProblem(announcement.error) });
    return;
  }
  const { channel, text } = announcement.data;
  const message: FromServer = { type: "announced", text, at: new Date().toISOString() };
  app.registry.sendJSONToRoom(roomPath(chatRoute, { channel }), message);
  response.sendStatus(202);
}
