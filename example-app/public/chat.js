import { colorById, element, make, makeName, onSubmit, showProblem } from "./element.js";
import { clearLog, showMessage, showNotice } from "./log.js";
import { join, me } from "./page.js";
import { endTyping, hideTyping, reportTyping, showTyping } from "./typing.js";

const channel = decodeURIComponent(location.pathname.split("/")[2]);
const input = element("text");
/** The text that was sent last. It returns to the input if the server refuses it. */
let draft = "";

document.title = `#${channel} – Enfilade example`;
element("title").textContent = `# ${channel}`;

const room = join(`/chat/${encodeURIComponent(channel)}`);
room.on("presence", ({ users }) => showPeople(users));
// The server replays the messages that it still has. Without clearing, they would appear twice.
room.on("lost", () => clearLog("Some messages may be missing: the connection was lost for too long."));
room.on("message", ({ data }) => receive(data));
room.onEvent("private", (message) => showMessage(message, me));
reportTyping(input, () => room.state === "open" && room.sendJSON({ typing: true }));
onSubmit(element("say"), say);
input.focus();

function receive(message) {
  switch (message.type) {
    case "said":
      hideTyping(message.from);
      return showMessage(message, me);
    case "joined":
    case "left":
      return showNotice(message.at, makeName(message.person), ` ${message.type}`);
    case "typing":
      return showTyping(message.from);
    case "error":
      if (input.value === "") input.value = draft;
      return showProblem(input, message.message);
  }
}

function say() {
  if (input.value.trim() === "") return;
  // Without a connection the client queues the message until it has reconnected.
  room.sendJSON({ text: input.value });
  endTyping();
  draft = input.value;
  input.value = "";
  showProblem(input, "");
}

function showPeople(users) {
  const people = users.map(({ id, user }) => ({ id, name: user.name }));
  people.sort((a, b) => a.name.localeCompare(b.name));
  element("here").replaceChildren(...people.map(personItem));
  element("here-title").textContent = `Here now (${people.length})`;
}

/** Another person links to the page for private messages. */
function personItem(person) {
  const item = colorById(make("li", "person"), person.id);
  if (person.id === me.id) item.append(make("bdi", "", person.name), " (you)");
  else {
    const link = make("a", "");
    link.href = `/messages?${new URLSearchParams({ to: person.id })}`;
    link.title = `Write a private message to ${person.name}`;
    link.append(make("bdi", "", person.name));
    item.append(link);
  }
  return item;
}
