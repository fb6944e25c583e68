import { colorById, element, make, makeName } from "./element.js";

/** The log of messages of a page. */

/** Older lines are removed, so that a page that stays open for a week still works. */
const linesMax = 500;

/** True while the end of the log is in view: then a new line is scrolled into view. */
let isAtEnd = true;

/** The size of the log. A change of it, as when a phone is turned, also scrolls, before the observer is called. */
let size = "";

element("log").addEventListener("scroll", ({ target }) => {
  if (sizeOf(target) !== size) return;
  isAtEnd = target.scrollHeight - target.scrollTop - target.clientHeight < 60;
});
new ResizeObserver(([{ target }]) => {
  size = sizeOf(target);
  scrollToEnd();
}).observe(element("log"));

function sizeOf({ clientWidth, clientHeight }) {
  return `${clientWidth} ${clientHeight}`;
}

/** Shows a message of a person. `to` names the recipient of a private message. */
export function showMessage({ from, to, text, at }, me) {
  const line = make("article", from.id === me.id ? "line own" : "line");
  const head = make("p", "who");
  const who = make("b", "name", from.name);
  who.dir = "auto";
  head.append(who);
  if (to !== undefined) head.append(make("span", "hint", "to"), makeName(to));
  head.append(timeElement(at));
  const body = make("p", "text", text);
  body.dir = "auto";
  line.append(colorById(head, from.id), body);
  append(line);
  element("quiet").hidden = true;
}

/** Shows an event: text and elements in one line, with its time. */
export function showNotice(at, ...content) {
  const line = make("p", "notice");
  const body = make("span", "text");
  body.append(...content);
  line.append(body, timeElement(at));
  append(line);
}

/** Removes all lines and shows the reason. */
export function clearLog(reason) {
  element("log").replaceChildren(make("p", "notice", reason));
  element("quiet").hidden = false;
}

function append(line) {
  const log = element("log");
  log.append(line);
  if (log.childElementCount > linesMax) log.firstElementChild.remove();
  scrollToEnd();
}

function scrollToEnd() {
  if (isAtEnd) element("log").scrollTop = element("log").scrollHeight;
}

function timeElement(at) {
  const time = make("time", "at", new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  time.dateTime = at;
  time.title = new Date(at).toLocaleString();
  return time;
}
