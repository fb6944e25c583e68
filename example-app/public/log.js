import { element, make } from "./element.js";

/** Older lines go, so that a page left open for a week still works. */
const linesMax = 500;

/** Whether the end is in view: what comes is followed, unless somebody reads further up. */
let following = true;

element("log").addEventListener("scroll", ({ target }) => {
  following = target.scrollHeight - target.scrollTop - target.clientHeight < 60;
});
new ResizeObserver(follow).observe(element("log"));

/** Adds a line to the log. */
export function showLine(message, ownName) {
  const log = element("log");
  log.append(lineOf(message, ownName));
  if (log.childElementCount > linesMax) log.firstElementChild.remove();
  if (message.type === "said") element("quiet").hidden = true;
  follow();
}

/** Takes every line away, and says why. */
export function clearLines(why = "") {
  element("log").replaceChildren(...(why === "" ? [] : [make("p", "notice", why)]));
  element("quiet").hidden = false;
}

/** Shows who is here. */
export function showHere(names) {
  element("here").replaceChildren(...names.toSorted((a, b) => a.localeCompare(b)).map(person));
  element("here-title").textContent = names.length === 0 ? "Here now" : `Here now (${names.length})`;
}

function follow() {
  if (following) element("log").scrollTop = element("log").scrollHeight;
}

function lineOf(message, ownName) {
  switch (message.type) {
    case "said":
      return said(message, message.name === ownName);
    case "joined":
    case "left":
      return notice("notice", message.at, nameOf(message.name), ` ${message.type}`);
    case "announced":
      return notice("announcement", message.at, message.text);
  }
}

function said({ name, text, at }, own) {
  const line = make("article", own ? "line own" : "line");
  const head = make("p", "who");
  const who = make("b", "name", name);
  who.dir = "auto";
  head.append(who, timeOf(at));
  const body = make("p", "text", text);
  body.dir = "auto";
  line.append(colored(head, name), body);
  return line;
}

function notice(className, at, ...content) {
  const line = make("p", className);
  const body = make("span", "text");
  body.dir = "auto";
  body.append(...content);
  line.append(body, timeOf(at));
  return line;
}

function person(name) {
  const item = make("li", "person");
  item.append(nameOf(name));
  return colored(item, name);
}

/** A name in a text of ours, which keeps its direction whatever the name is written in. */
function nameOf(name) {
  return make("bdi", "", name);
}

function timeOf(at) {
  const time = make("time", "at", new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  time.dateTime = at;
  time.title = new Date(at).toLocaleString();
  return time;
}

/** One color for each name. */
function colored(made, name) {
  let hue = 0;
  for (const character of name) hue = (hue * 31 + (character.codePointAt(0) ?? 0)) % 360;
  made.style.setProperty("--hue", String(hue));
  return made;
}
