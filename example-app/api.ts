import { type App, roomPath } from "enfilade";
import { json, type Request, type Response, Router } from "express";
import { z } from "zod";
import { chatRoute } from "./chat.js";
import { Announcement, ChannelName, type FromServer, PersonName, problem } from "./messages.js";

/** Channels that are always on the list. */
const offered = ["general", "random", "help"];
const chatPrefix = "/chat/";
const Entry = z.object({ channel: ChannelName, name: PersonName });

export function createAPI(app: App): Router {
  const api = Router();
  api.get("/channels", async (_request, response) => response.json(await channels(app)));
  api.get("/status", (_request, response) => response.json(app.status()));
  api.get("/ready", (_request, response) => response.sendStatus(app.status().ready ? 204 : 503));
  api.get("/entry", checkEntry);
  api.post("/announce", json({ limit: "16kb" }), (request, response) => announce(app, request, response));
  return api;
}

/** Channels by name, those offered and those that somebody is in here, and how many people are in each, anywhere. */
async function channels({ registry }: App): Promise<{ channel: string; people: number }[]> {
  const here = registry.rooms.filter(({ path }) => path.startsWith(chatPrefix));
  const names = new Set([...offered, ...here.map(({ path }) => path.slice(chatPrefix.length))]);
  const people = async (channel: string) => {
    const { count } = await registry.room(roomPath(chatRoute, { channel })).presence();
    return { channel, people: count };
  };
  return Promise.all([...names].map(people));
}

/**
 * Answers whether a WebSocket would be accepted, and why not: a browser does not tell its page. A refusal is 200 too:
 * a browser reports each 400 as an error in its console, and to ask is no error.
 */
function checkEntry(request: Request, response: Response): void {
  const entry = Entry.safeParse(request.query);
  if (entry.success) response.sendStatus(204);
  else response.json({ error: problem(entry.error), field: entry.error.issues[0]?.path[0] });
}

function announce(app: App, request: Request, response: Response): void {
  const announcement = Announcement.safeParse(request.body);
  if (!announcement.success) {
    response.status(400).json({ error: problem(announcement.error) });
    return;
  }
  const { channel, text } = announcement.data;
  const message: FromServer = { type: "announced", text, at: new Date().toISOString() };
  app.registry.sendJSONToRoom(roomPath(chatRoute, { channel }), message);
  response.sendStatus(202);
}
