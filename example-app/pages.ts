import { readFileSync } from "node:fs";
import type { Response } from "express";

/** The pages by the name of their file in `pages`, with their titles. */
const titles = {
  "sign-in": "Sign in",
  "sign-in-provider": "Sign in",
  channels: "Channels",
  chat: "Chat",
  messages: "Messages",
  todos: "To-dos",
  board: "Board",
  output: "Output",
  api: "API",
} as const;

export type PageName = keyof typeof titles;

/** The paths of the pages in the navigation. */
export const pagePaths = {
  channels: "/",
  messages: "/messages",
  todos: "/todos",
  board: "/board",
  output: "/output",
  api: "/asyncapi",
};

/** The pages as HTML. They contain nothing that a user wrote: scripts load that, and show it as text. */
export class Pages {
  readonly #pages = new Map<PageName, string>();

  constructor() {
    // Object.keys has the keys of this object, which is a constant.
    for (const name of Object.keys(titles) as PageName[]) this.#pages.set(name, createPage(name));
  }

  send(response: Response, name: PageName): void {
    // A page for a person who has signed out must not come from a cache.
    response.set("Cache-Control", "no-store").type("html").send(this.#pages.get(name));
  }
}

/** Puts the content of a page into the frame of its kind. */
function createPage(name: PageName): string {
  const isOpen = name.startsWith("sign-in");
  const frame = readPart(isOpen ? "frame-sign-in" : "frame");
  const values = new Map([
    ["title", titles[name]],
    ["page", name],
    ["main", readPart(name).trimEnd()],
  ]);
  const page = frame.replace(/\{\{(\w+)\}\}/g, (_match, key: string) => values.get(key) ?? "");
  // A channel belongs to the list of channels.
  const current = name === "chat" ? "channels" : name;
  return page.replace(`<a data-page="${current}"`, '$& aria-current="page"');
}

function readPart(name: string): string {
  return readFileSync(new URL(`pages/${name}.html`, import.meta.url), "utf8");
}
