import { element, make, onSubmit, showProblem } from "./element.js";
import { callAPI } from "./page.js";

const input = element("channel");

onSubmit(element("open"), openChannel);
document.addEventListener("visibilitychange", () => document.hidden || loadChannels());
await loadChannels();

// The server sends a page with a bad name back to here.
const refused = new URLSearchParams(location.search).get("open");
if (refused !== null) {
  input.value = refused;
  await openChannel();
}

async function loadChannels() {
  try {
    const channels = await (await callAPI("GET", "/channels")).json();
    element("channels").replaceChildren(...channels.map(channelItem));
  } catch {
    element("problem").textContent = "The server cannot be reached. Reload the page to try again.";
  }
}

function channelItem({ channel, people }) {
  const item = make("li", "");
  const link = make("a", "card-row");
  link.href = `/c/${encodeURIComponent(channel)}`;
  link.append(make("span", "card-name", `#\u00a0${channel}`), make("span", "count", peopleText(people)));
  item.append(link);
  return item;
}

function peopleText(people) {
  if (people === 0) return "empty";
  return people === 1 ? "1 person" : `${people} people`;
}

async function openChannel() {
  // The server decides which names are valid. Capital letters are converted, so that the user need not retry.
  const name = input.value.trim().toLowerCase();
  if (name === "") return showProblem(input, "Write the name of a channel first.");
  const { error } = await (await callAPI("GET", `/channel-problem?${new URLSearchParams({ name })}`)).json();
  if (error === undefined) location.assign(`/c/${encodeURIComponent(name)}`);
  else showProblem(input, error);
}
