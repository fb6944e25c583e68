import { element, makeName } from "./element.js";

/** Shows who is typing, and reports that this person is. */

const sendEveryMs = 2_000;
const shownMs = 4_000;

const timers = new Map();
const people = new Map();
let sentAtMs = 0;

/** Reports typing in `input` with `send`, at most every two seconds. */
export function reportTyping(input, send) {
  input.addEventListener("input", () => {
    if (Date.now() - sentAtMs < sendEveryMs) return;
    sentAtMs = Date.now();
    send();
  });
}

/** Reports at once when the person types again, because a message hides that the person types. */
export function endTyping() {
  sentAtMs = 0;
}

/** Shows that a person types, until it is over. */
export function showTyping(person) {
  people.set(person.id, person);
  clearTimeout(timers.get(person.id));
  timers.set(
    person.id,
    setTimeout(() => hideTyping(person), shownMs),
  );
  render();
}

/** A person who has sent a message no longer types. */
export function hideTyping({ id }) {
  clearTimeout(timers.get(id));
  timers.delete(id);
  people.delete(id);
  render();
}

function render() {
  const names = [...people.values()].slice(0, 3).flatMap((person) => [", ", makeName(person)]);
  const text = people.size === 0 ? [] : [...names.slice(1), people.size === 1 ? " is typing…" : " are typing…"];
  element("typing").replaceChildren(...text);
}
