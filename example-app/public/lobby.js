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
  element("channel").focus();
  element("channel-problem").textContent = problem;
}

async function list() {
  try {
    const response = await fetch("/api/channels");
    element("channels").replaceChildren(...(await response.json()).map(entry));
  } catch {
    element("channel-problem").textContent = "The server cannot be reached. Reload the page to try again.";
  }
}

function entry({ channel, people }) {
  const item = make("li", "");
  const link = make("a", "channel");
  link.href = `/c/${encodeURIComponent(channel)}`;
  link.append(make("span", "channel-name", `# ${channel}`), make("span", "count", count(people)));
  item.append(link);
  return item;
}

function count(people) {
  if (people === 0) return "empty";
  return people === 1 ? "1 person" : `${people} people`;
}

function open(event) {
  event.preventDefault();
  // The server says whether it is a name for a channel; a capital letter is no reason to bother anybody.
  const channel = element("channel").value.trim().toLowerCase();
  if (channel === "") element("channel-problem").textContent = "Write the name of a channel first.";
  else location.assign(`/c/${encodeURIComponent(channel)}`);
}
