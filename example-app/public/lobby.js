import { entryProblem } from "./connection.js";
import { element, make, show } from "./element.js";

/** The page at `/`: which channels there are, and a way to open one more. */
export function showLobby() {
  document.title = "Enfilade chat";
  element("title").textContent = "Channels";
  show("lobby");
  element("open").addEventListener("submit", open);
  document.addEventListener("visibilitychange", () => document.hidden || list());
  list();
}

/** The same page, for a channel that cannot be opened. */
export function showNoChannel(channel, problem) {
  showLobby();
  element("channel").value = channel;
  showProblem(problem);
}

function showProblem(problem) {
  element("channel-problem").textContent = problem;
  element("channel").setAttribute("aria-invalid", "true");
  element("channel").focus();
  revealProblem();
}

function revealProblem() {
  element("channel-problem").scrollIntoView({ block: "nearest" });
}

async function list() {
  try {
    const response = await fetch("/api/channels");
    element("channels").replaceChildren(...(await response.json()).map(entry));
    // The list moves down what is below it.
    if (element("channel-problem").textContent !== "") revealProblem();
  } catch {
    element("channel-problem").textContent = "The server cannot be reached. Reload the page to try again.";
  }
}

function entry({ channel, people }) {
  const item = make("li", "");
  const link = make("a", "channel");
  link.href = `/c/${encodeURIComponent(channel)}`;
  link.append(make("span", "channel-name", `#\u00a0${channel}`), make("span", "count", count(people)));
  item.append(link);
  return item;
}

function count(people) {
  if (people === 0) return "empty";
  return people === 1 ? "1 person" : `${people} people`;
}

async function open(event) {
  event.preventDefault();
  // The server decides which names are valid; a capital letter is no reason to ask the user again.
  const channel = element("channel").value.trim().toLowerCase();
  if (channel === "") return showProblem("Write the name of a channel first.");
  const problem = await entryProblem(channel, "");
  if (problem?.field === "channel") showProblem(problem.error);
  else location.assign(`/c/${encodeURIComponent(channel)}`);
}
