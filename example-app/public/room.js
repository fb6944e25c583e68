import { connect, entryProblem } from "./connection.js";
import { element, show, stored } from "./element.js";
import { showNoChannel } from "./lobby.js";
import { showHere, showLine } from "./log.js";

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
  /** Our connection's id, by which we know our own messages. */
  #id = "";
  /** What was sent last, to be given back if the server refuses it. */
  #draft = "";

  constructor(channel) {
    this.#channel = channel;
  }

  start() {
    element("introduce").addEventListener("submit", (event) => this.#introduce(event));
    element("say").addEventListener("submit", (event) => this.#say(event));
    element("text").addEventListener("keydown", sendOnEnter);
    element("reconnect").addEventListener("click", () => this.#connect());
    element("rename").addEventListener("click", () => this.#askName(""));
    if (this.#name === "") this.#askName("");
    else this.#connect();
  }

  #connect() {
    show("room");
    element("banner").hidden = true;
    this.#showState("connecting");
    this.#connection = connect(this.#channel, this.#name, {
      opened: () => this.#showState("connected"),
      received: (message) => this.#receive(message),
      refused: () => this.#explain(),
      lost: (reason) => this.#lost(`The connection was lost${reason === "" ? "" : `: ${reason}`}.`),
    });
  }

  #receive(message) {
    switch (message.type) {
      case "welcome":
        return this.#welcome(message);
      case "here":
        return showHere(message.names);
      case "error":
        return this.#refused(message.message);
      default:
        return showLine(message, this.#id);
    }
  }

  #welcome({ id, name }) {
    this.#id = id;
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
    if (input.value.trim() === "" || !this.#connection.send({ text: input.value })) return;
    this.#draft = input.value;
    input.value = "";
    element("text-problem").textContent = "";
  }

  #refused(message) {
    element("text-problem").textContent = message;
    if (element("text").value === "") element("text").value = this.#draft;
  }

  async #explain() {
    const problem = await entryProblem(this.#channel, this.#name);
    if (problem?.field === "name") this.#askName(problem.error);
    else if (problem !== undefined) this.#leaveFor(problem.error);
    else this.#lost("The server cannot be reached.");
  }

  #leaveFor(problem) {
    element("state").hidden = true;
    showNoChannel(this.#channel, problem);
  }

  #lost(why) {
    this.#showState("disconnected");
    element("lost").textContent = why;
    element("banner").hidden = false;
    showHere([]);
  }

  #showState(state) {
    element("state").hidden = false;
    element("state").dataset.state = state;
    element("state").textContent = state;
    element("say").querySelector("button").disabled = state !== "connected";
  }
}

/** Shift+Enter makes a line; and Enter that ends the choice of a character (IME) is not ours. */
function sendOnEnter(event) {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  event.target.form.requestSubmit();
}
