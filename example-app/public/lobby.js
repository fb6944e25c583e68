import { findEntryProblem } from "./connection.js";
import { element, make, show } from "./element.js";

/** Shows the page at `/`: the list of channels, and a form that opens another one. */
export function showLobby() {
  document.title = "Enfilade chat";
  element("title").textContent = "Channels";
  show("lobby");
  element("open").addEventListener("submit", openChannel);
  document.addEventListener("visibilitychange", () => document.hidden || loadChannels());
  loadChannels();
}

/** Shows the same page, with the problem of a channel that cannot be opened. */
export function showChannelProblem(channel, problem) {
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

async function loadChannels() {
  try {
    const response = await fetch("/api/channels");
    element("channels").replaceChildren(...(await response.json()).map(channelItem));
    // The list pushes the problem down, perhaps out of view.
    if (element("channel-problem").textContent !== "") revealProblem();
  } catch {
    element("channel-problem").textContent = "The server cannot be reached. Reload the page to try again.";
  }
}

function channelItem({ channel, people }) {
  const item = make("li", "");
  const link = make("a", "channel");
  link.href = `/c/${encodeURIComponent(channel)}`;
  link.append(make("span", "channel-name", `#\u00a0${channel}`), make("span", "count", peopleText(people)));
  item.append(link);
  return item;
}

function peopleText(people) {
  if (people === 0) return "empty";
  return people === 1 ? "1 person" : `${people} people`;
}

async function openChannel(event) {
  event.preventDefault();
  // The server decides which names are valid. Capital letters are converted, so that the user need not retry.
  const channel = element("channel").value.trim().toLowerCase();
  if (channel === "") return showProblem("Write the name of a channel first.");
  const problem = await findEntryProblem(channel, "");
  if (problem?.field === "channel") showProblem(problem.error);
  else location.assign(`/c/${encodeURIComponent(channel)}`);
}
