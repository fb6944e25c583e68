import { type ComponentType, StrictMode } from "react";
import { createRoot, hydrateRoot } from "react-dom/client";
import { clock } from "./parts.js";
import { Requests } from "./requests.js";
import { Hidden, Latest, Mistakes, Moving, One, Presence, Resync, Several, TextToken, Token, Tokens } from "./rooms.js";

const scenarios = new Map<string, ComponentType>(
  Object.entries({
    Hidden,
    Latest,
    Mistakes,
    Moving,
    One,
    Presence,
    Requests,
    Resync,
    Several,
    TextToken,
    Token,
    Tokens,
  }),
);

/** The part of a page that is used. The tests are compiled without the types of browsers, which differ from Node's. */
const page = globalThis as unknown as {
  readonly document: { getElementById(id: string): Parameters<typeof hydrateRoot>[0] & { innerHTML: string } };
  readonly location: { readonly pathname: string };
  advance: (ms: number) => void;
};

page.advance = (ms) => clock.advance(ms);
const element = page.document.getElementById("root");
const Scenario = scenarios.get(page.location.pathname.slice(1));
if (!Scenario) throw new Error(`no scenario for ${page.location.pathname}`);
const content = (
  <StrictMode>
    <Scenario />
  </StrictMode>
);
if (element.innerHTML === "") createRoot(element).render(content);
else hydrateRoot(element, content);
