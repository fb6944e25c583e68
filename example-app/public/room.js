import { entryProblem, join } from "./connection.js";
import { element, show, stored } from "./element.js";
import { showNoChannel } from "./lobby.js";
import { clearLines, showHere, showLine } from "./log.js";

/** The page at `/c/:channel`: asks for a name once, then talks. */
export function openRoom(channel) {
  document.title = `#${channel} – Enfilade chat`;
  element("title").textContent = `# ${channel}`;
  new Room(channel).start();
}

class Room {
  #channel;
  #name = stored.name;
  #connection;
  /** Whether it was ever open: if not, it may be that the server does not want us. */
  #wasOpen = false;
  /** What was sent last, to be given back if the server refuses it. */
  #draft = "";

  constructor(channel) {
    this.#channel = channel;
  }

  start() {
    element("introduce").addEventListener("submit", (event) => this.#introduce(event));
    element("say").addEventListener("submit", (event) => this.#say(event));
    element("text").addEventListener("keydown", sendOnEnter);
    element("rename").addEventListener("click", () => this.#askName(""));
    if (this.#name === "") this.#askName("");
    else this.#connect();
  }

  #connect() {
    show("room");
    clearLines();
    this.#wasOpen = false;
    this.#connection?.close();
    const connection = join(this.#channel, this.#name);
    connection.on("state", (state) => this.#become(state));
    connection.on("presence", ({ users }) => showHere(users.map(({ id }) => id)));
    // What comes next is what is still kept, so what stands there would come twice.
    connection.on("lost", () => clearLines("Some messages may be missing: the connection was lost for too long."));
    connection.on("message", ({ data }) => this.#receive(data));
    this.#connection = connection;
    this.#become("connecting");
  }

  #receive(message) {
    switch (message.type) {
      case "welcome":
        return this.#welcome(message);
      case "error":
        return this.#refused(message.message);
      default:
        return showLine(message, this.#name);
    }
  }

  #welcome({ name }) {
    this.#name = name;
    stored.name = name;
    element("rename").hidden = false;
    element("rename").textContent = name;
    element("rename").title = "Change your name";
    element("rename").setAttribute("aria-label", `You are ${name}. Change your name`);
    element("text").focus();
  }

  #introduce(event) {
    event.preventDefault();
    this.#name = element("name").value;
    this.#connect();
  }

  #askName(problem) {
    this.#connection?.close();
    show("entry");
    element("banner").hidden = true;
    element("state").hidden = true;
    element("rename").hidden = true;
    element("name").value = this.#name;
    element("name-problem").textContent = problem;
    element("name").setAttribute("aria-invalid", String(problem !== ""));
    element("name").focus();
  }

  #say(event) {
    event.preventDefault();
    const input = element("text");
    if (input.value.trim() === "") return;
    // Without a connection it waits for the next one.
    this.#connection.sendJSON({ text: input.value });
    this.#draft = input.value;
    input.value = "";
    element("text-problem").textContent = "";
  }

  #refused(message) {
    element("text-problem").textContent = message;
    if (element("text").value === "") element("text").value = this.#draft;
  }

  /** A browser does not say why the server let us not in, so the server is asked again. */
  async #explain() {
    const problem = await entryProblem(this.#channel, this.#name);
    if (problem === undefined || this.#wasOpen) return;
    this.#connection.close();
    if (problem.field === "name") this.#askName(problem.error);
    else this.#leaveFor(problem.error);
  }

  #leaveFor(problem) {
    element("state").hidden = true;
    element("banner").hidden = true;
    showNoChannel(this.#channel, problem);
  }

  #become(state) {
    if (state === "open") this.#wasOpen = true;
    if (state === "waiting" && !this.#wasOpen) this.#explain();
    element("banner").hidden = state === "open" || (state === "connecting" && element("banner").hidden);
    element("lost").textContent = this.#wasOpen
      ? "The connection was lost. What you write is sent when it is back."
      : "The server cannot be reached. Trying again.";
    const isClosed = state === "closed";
    element("state").hidden = isClosed;
    if (isClosed) element("banner").hidden = true;
    element("state").dataset.state = state === "open" ? "connected" : "disconnected";
    element("state").textContent = state === "open" ? "connected" : "reconnecting";
    if (state === "connecting" && !this.#wasOpen) element("state").textContent = "connecting";
  }
}

/** Shift+Enter makes a line; and Enter that ends the choice of a character (IME) is not ours. */
function sendOnEnter(event) {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  event.target.form.requestSubmit();
}
