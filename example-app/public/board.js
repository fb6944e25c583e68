import { colorById, element, make, makeName } from "./element.js";
import { join, me } from "./page.js";

/** The largest coordinate: x and y are unsigned 16-bit integers. */
const max = 65_535;
const keyStep = max / 20;
const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const surface = element("surface");
/** The people on the board by id: their cursor, their line in the list, and their position. */
const cursors = new Map();
let own = { x: max / 2, y: max / 2 };
let isSending = false;

const room = join("/boards/main");
room.on("presence", ({ users }) => showPeople(users.map(({ id, user }) => ({ id, name: user.name }))));
room.on("message", ({ bytes }) => bytes !== undefined && receive(bytes));
surface.addEventListener("pointermove", movePointer);
surface.addEventListener("pointerdown", movePointer);
surface.addEventListener("keydown", moveByKey);

function movePointer({ clientX, clientY }) {
  const { left, top, width, height } = surface.getBoundingClientRect();
  moveTo(((clientX - left) / width) * max, ((clientY - top) / height) * max);
}

function moveByKey(event) {
  const [x, y] = steps[event.key] ?? [];
  if (x === undefined) return;
  event.preventDefault();
  moveTo(own.x + x * keyStep, own.y + y * keyStep);
}

/** Moves the own cursor at once, and sends its position at most once per frame of the screen. */
function moveTo(x, y) {
  const clamp = (value) => Math.round(Math.min(Math.max(value, 0), max));
  own = { x: clamp(x), y: clamp(y) };
  place(me.id, own.x, own.y);
  if (isSending) return;
  isSending = true;
  requestAnimationFrame(() => {
    isSending = false;
    send();
  });
}

function send() {
  if (room.state !== "open") return;
  const bytes = new Uint8Array(4);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, own.x);
  view.setUint16(2, own.y);
  room.sendBinary(bytes);
}

function receive(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  place(new TextDecoder().decode(bytes.subarray(4)), view.getUint16(0), view.getUint16(2));
}

function place(id, x, y) {
  const { cursor, where } = cursors.get(id) ?? {};
  if (cursor === undefined) return;
  cursor.hidden = false;
  cursor.style.setProperty("--x", String(x / max));
  cursor.style.setProperty("--y", String(y / max));
  where.textContent = `${percent(x)} from the left, ${percent(y)} from the top`;
}

function percent(value) {
  return `${Math.round((value / max) * 100)} %`;
}

function showPeople(people) {
  const left = new Set(cursors.keys());
  for (const person of people) {
    if (!left.delete(person.id)) addPerson(person);
  }
  for (const id of left) {
    const { cursor, item } = cursors.get(id);
    cursor.remove();
    item.remove();
    cursors.delete(id);
  }
}

/** A person who joins does not have the positions of the others, so each page sends its own again. */
function addPerson(person) {
  const cursor = colorById(make("div", "cursor"), person.id);
  cursor.append(make("bdi", "cursor-name", person.name));
  cursor.hidden = true;
  const item = make("li", "person-line");
  const where = make("span", "hint", "not moved yet");
  item.append(makeName(person), person.id === me.id ? " (you) " : " ", where);
  surface.append(cursor);
  element("cursors").append(item);
  cursors.set(person.id, { cursor, item, where });
  if (person.id === me.id) place(me.id, own.x, own.y);
  send();
}
