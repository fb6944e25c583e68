import { findEntryProblem, join } from "./connection.js";
import { element, show, stored } from "./element.js";
import { showChannelProblem } from "./lobby.js";
import { clearLines, showLine, showPeople } from "./log.js";

/** Shows the page at `/c/:channel`: asks for a name once, then shows the conversation. */
export function openRoom(channel) {
  document.title = `#${channel} – Enfilade chat`;
  element("title").textContent = `# ${channel}`;
  element("title").title = channel;
  new Room(channel).start();
}

class Room {
  #channel;
  #name = stored.name;
  #connection;
  /** True once this connection was open. If it never was, the server may have refused it. */
  #wasOpen = false;
  /** The text that was sent last. It returns to the input if the server refuses it. */
  #draft = "";
  /** True while the user changes the name. The connection stays until the server accepts the new name. */
  #isRenaming = false;
  /** Counts submitted names and cancelled renames. An answer about an earlier one is ignored. */
  #submissions = 0;

  constructor(channel) {
    this.#channel = channel;
  }

  start() {
    element("introduce").addEventListener("submit", (event) => this.#submitName(event));
    element("say").addEventListener("submit", (event) => this.#send(event));
    element("text").addEventListener("keydown", sendOnEnter);
    element("rename").addEventListener("click", () => this.#rename());
    element("cancel").addEventListener("click", () => this.#cancelRename());
    document.addEventListener("keydown", (event) => {
      // While an input method (IME) composes a character, Escape belongs to the input method.
      if (event.key === "Escape" && !event.isComposing) this.#cancelRename();
    });
    this.#onState("connecting");
    this.#enter();
  }

  /** Asks the server first, so that a bad channel is reported before the page asks for a name. */
  async #enter() {
    const problem = await findEntryProblem(this.#channel, this.#name);
    if (problem === undefined) this.#connect(this.#name);
    else if (problem.field === "name" && this.#name === "") this.#askName("");
    else this.#refuseEntry(problem);
  }

  #connect(name) {
    this.#name = name;
    this.#isRenaming = false;
    show("room");
    element("text").focus();
    clearLines();
    this.#wasOpen = false;
    this.#connection?.close();
    const connection = join(this.#channel, this.#name);
    connection.on("state", (state) => connection === this.#connection && this.#onState(state));
    connection.on("presence", ({ users }) => showPeople(users.map(({ id }) => id)));
    // The server replays the messages that it still has. Without clearing, they would appear twice.
    connection.on("lost", () => clearLines("Some messages may be missing: the connection was lost for too long."));
    connection.on("message", ({ data }) => this.#receive(data));
    this.#connection = connection;
    this.#onState("connecting");
  }

  #receive(message) {
    switch (message.type) {
      case "welcome":
        return this.#welcome(message);
      case "error":
        return this.#showRefusal(message.message);
      default:
        return showLine(message, this.#name);
    }
  }

  #welcome({ name }) {
    this.#name = name;
    stored.name = name;
    element("rename").hidden = this.#isRenaming;
    element("rename").textContent = name;
    element("rename").title = `You are ${name}. Change your name`;
    element("rename").setAttribute("aria-label", element("rename").title);
  }

  async #submitName(event) {
    event.preventDefault();
    const name = element("name").value.trim();
    if (this.#isRenaming && name === this.#name) return this.#cancelRename();
    this.#submissions += 1;
    const submission = this.#submissions;
    const problem = await findEntryProblem(this.#channel, name);
    if (submission !== this.#submissions) return;
    if (problem === undefined) this.#connect(name);
    else if (problem.field === "name") this.#showNameProblem(problem.error);
    else this.#refuseEntry(problem);
  }

  #rename() {
    this.#isRenaming = true;
    this.#showNameForm("Change your name");
  }

  #cancelRename() {
    if (!this.#isRenaming) return;
    this.#isRenaming = false;
    this.#submissions += 1;
    show("room");
    element("rename").hidden = false;
    element("rename").focus();
  }

  #askName(problem) {
    this.#leave();
    this.#showNameForm("What is your name?", problem);
  }

  #showNameForm(title, problem = "") {
    show("entry");
    element("name-title").textContent = title;
    element("cancel").hidden = !this.#isRenaming;
    element("rename").hidden = true;
    element("name").value = this.#name;
    this.#showNameProblem(problem);
  }

  #showNameProblem(problem) {
    element("name-problem").textContent = problem;
    element("name").setAttribute("aria-invalid", String(problem !== ""));
    element("name").focus();
  }

  #send(event) {
    event.preventDefault();
    const input = element("text");
    if (input.value.trim() === "") return;
    // Without a connection the client queues the message until it has reconnected.
    this.#connection.sendJSON({ text: input.value });
    this.#draft = input.value;
    input.value = "";
    element("text-problem").textContent = "";
  }

  #showRefusal(message) {
    element("text-problem").textContent = message;
    if (element("text").value === "") element("text").value = this.#draft;
  }

  /** A browser does not give the reason for a refused handshake, so this asks the API. */
  async #explainRefusal() {
    const connection = this.#connection;
    const problem = await findEntryProblem(this.#channel, this.#name);
    if (problem === undefined || this.#wasOpen || connection !== this.#connection) return;
    this.#refuseEntry(problem);
  }

  #refuseEntry({ field, error }) {
    if (field === "name") return this.#askName(error);
    this.#leave();
    showChannelProblem(this.#channel, error);
  }

  #leave() {
    this.#isRenaming = false;
    this.#connection?.close();
    this.#onState("closed");
  }

  #onState(state) {
    if (state === "open") this.#wasOpen = true;
    if (state === "waiting" && !this.#wasOpen) this.#explainRefusal();
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

/** Enter sends the message. Shift+Enter adds a line, and Enter while an input method (IME) composes is left to it. */
function sendOnEnter(event) {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  event.target.form.requestSubmit();
}
