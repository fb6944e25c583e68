import { colorById, element, make, onSubmit, showProblem } from "./element.js";
import { showMessage } from "./log.js";
import { join, me } from "./page.js";

const input = element("text");
let recipientId = new URLSearchParams(location.search).get("to");

const room = join("/people");
room.on("presence", ({ users }) => showPeople(users.filter(({ id }) => id !== me.id)));
room.onEvent("private", (message) => showMessage(message, me));
element("people").addEventListener("change", ({ target }) => choose(target.value));
onSubmit(element("say"), send);

function send() {
  if (input.value.trim() === "") return;
  if (document.querySelector("[name=to]:checked") === null) return showProblem(input, "Choose a person first.");
  const text = input.value;
  input.value = "";
  showProblem(input, "");
  // Without a connection the client queues the request until it has reconnected.
  room.request("write", { to: recipientId, text }, { timeoutMs: Infinity }).catch((error) => refuse(error, text));
}

/** The text returns to the input, unless the person has begun another one. */
function refuse({ message, issues: [issue] = [] }, text) {
  if (input.value === "") input.value = text;
  showProblem(input, issue?.message ?? message);
}

function choose(id) {
  recipientId = id;
  const chosen = document.querySelector("[name=to]:checked");
  element("recipient").textContent = chosen?.parentElement.textContent ?? "…";
}

/** Keeps the elements of people who stay, so that the focus stays, too. */
function showPeople(users) {
  const shown = new Map([...element("people").children].map((label) => [label.firstElementChild.value, label]));
  for (const { id, user } of users) {
    if (!shown.has(id)) element("people").append(personChoice({ id, name: user.name }));
    shown.delete(id);
  }
  for (const label of shown.values()) removePerson(label);
  element("alone").hidden = users.length > 0;
  choose(recipientId);
}

/** The focus goes to another person, so that it is not lost with this one. */
function removePerson(label) {
  const hadFocus = label.contains(document.activeElement);
  label.remove();
  if (hadFocus) (document.querySelector("[name=to]") ?? input).focus();
}

function personChoice({ id, name }) {
  const label = colorById(make("label", "person"), id);
  const radio = make("input", "");
  Object.assign(radio, { type: "radio", name: "to", value: id, checked: id === recipientId });
  label.append(radio, make("bdi", "", name));
  return label;
}
