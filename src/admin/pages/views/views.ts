import type { ComponentType } from "preact";
import { Broadcast } from "./broadcast.js";
import { Connection } from "./connection.js";
import { Connections } from "./connections.js";
import { Departures } from "./departures.js";
import { Errors } from "./errors.js";
import { Overview } from "./overview.js";
import { Room } from "./room.js";
import { Rooms } from "./rooms.js";
import { Tap } from "./tap.js";
import { Users } from "./users.js";

interface ViewInfo {
  readonly name: string;
  readonly title: string;
  /** The views that the link of the navigation stands for. */
  readonly covers: readonly string[];
}

/** The views with a link in the navigation. */
export const views: readonly ViewInfo[] = [
  { name: "overview", title: "Overview", covers: ["overview"] },
  { name: "rooms", title: "Rooms", covers: ["rooms", "room"] },
  { name: "connections", title: "Connections", covers: ["connections", "connection"] },
  { name: "users", title: "Users", covers: ["users"] },
  { name: "tap", title: "Tap", covers: ["tap"] },
  { name: "broadcast", title: "Broadcast", covers: ["broadcast"] },
  { name: "departures", title: "Departures", covers: ["departures"] },
  { name: "errors", title: "Errors", covers: ["errors"] },
];

const components = new Map<string, ComponentType>([
  ["overview", Overview],
  ["rooms", Rooms],
  ["room", Room],
  ["connections", Connections],
  ["connection", Connection],
  ["users", Users],
  ["tap", Tap],
  ["broadcast", Broadcast],
  ["departures", Departures],
  ["errors", Errors],
]);

/** The component of a view; that of the overview for an unknown name. */
export function viewOf(name: string): ComponentType {
  return components.get(name) ?? Overview;
}
