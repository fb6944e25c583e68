import { element, make } from "./element.js";

/** Older lines are removed, so that a page that stays open for a week still works. */
const linesMax = 500;

/** True while the end of the log is in view: then a new line is scrolled into view. */
let isAtEnd = true;

element("log").addEventListener("scroll", ({ target }) => {
  isAtEnd = target.scrollHeight - target.scrollTop - target.clientHeight < 60;
});
new ResizeObserver(scrollToEnd).observe(element("log"));

/** Adds a line to the log. */
export function showLine(message, ownName) {
  const log = element("log");
  log.append(createLine(message, ownName));
  if (log.childElementCount > linesMax) log.firstElementChild.remove();
  if (message.type === "said") element("quiet").hidden = true;
  scrollToEnd();
}

/** Removes all lines and shows the reason, if one is given. */
export function clearLines(reason = "") {
  element("log").replaceChildren(...(reason === "" ? [] : [make("p", "notice", reason)]));
  element("quiet").hidden = false;
}

/** Shows the list of people in the channel. */
export function showPeople(names) {
  element("here").replaceChildren(...names.toSorted((a, b) => a.localeCompare(b)).map(personItem));
  element("here-title").textContent = names.length === 0 ? "Here now" : `Here now (${names.length})`;
}

function scrollToEnd() {
  if (isAtEnd) element("log").scrollTop = element("log").scrollHeight;
}

function createLine(message, ownName) {
  switch (message.type) {
    case "said":
      return chatLine(message, message.name === ownName);
    case "joined":
    case "left":
      return noticeLine("notice", message.at, nameElement(message.name), ` ${message.type}`);
    case "announced":
      return noticeLine("announcement", message.at, message.text);
  }
}

function chatLine({ name, text, at }, isOwn) {
  const line = make("article", isOwn ? "line own" : "line");
  const head = make("p", "who");
  const who = make("b", "name", name);
  who.dir = "auto";
  head.append(who, timeElement(at));
  const body = make("p", "text", text);
  body.dir = "auto";
  line.append(colorByName(head, name), body);
  return line;
}

function noticeLine(className, at, ...content) {
  const line = make("p", className);
  const body = make("span", "text");
  body.dir = "auto";
  body.append(...content);
  line.append(body, timeElement(at));
  return line;
}

function personItem(name) {
  const item = make("li", "person");
  item.append(nameElement(name));
  return colorByName(item, name);
}

/** Creates an element for a name. With `bdi` the name does not change the direction of the text around it. */
function nameElement(name) {
  return make("bdi", "", name);
}

function timeElement(at) {
  const time = make("time", "at", new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  time.dateTime = at;
  time.title = new Date(at).toLocaleString();
  return time;
}

/** Sets the color of an element by the name. The same name always has the same color. */
function colorByName(made, name) {
  let hue = 0;
  for (const character of name) hue = (hue * 31 + (character.codePointAt(0) ?? 0)) % 360;
  made.style.setProperty("--hue", String(hue));
  return made;
}
