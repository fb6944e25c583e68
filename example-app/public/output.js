import { element, onPress } from "./element.js";
import { callAPI, join } from "./page.js";

/** Older output is removed. */
const charactersMax = 20_000;

const output = element("output");

const room = join("/output-of-steps");
// The server replays what it still has. Without clearing, it would appear twice.
room.on("lost", () => output.replaceChildren());
room.on("message", ({ data, text }) => (text === undefined ? showState(data) : show(text)));
onPress(element("run"), run);

async function run() {
  try {
    const { isStarted } = await (await callAPI("POST", "/output")).json();
    if (!isStarted) element("run-state").textContent = "It runs already.";
  } catch {
    element("run-state").textContent = "The server cannot be reached. Try again.";
  }
}

function show(text) {
  output.append(text);
  if (output.textContent.length > charactersMax) output.textContent = output.textContent.slice(-charactersMax);
  output.scrollTop = output.scrollHeight;
}

function showState(message) {
  if (message.type === "started") {
    output.replaceChildren();
    element("run-state").textContent = `Running, started by ${message.by}.`;
  } else if (message.type === "ended") {
    element("run-state").textContent = message.code === 0 ? "Finished." : "It ended with an error.";
  }
}
