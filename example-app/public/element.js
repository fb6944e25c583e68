/** Returns the element with this id. The page has every id that its code asks for. */
export function element(id) {
  return document.getElementById(id);
}

/** Creates an element. Its text is shown as it is, never parsed as HTML. */
export function make(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/** Creates an element for a name. With `bdi` the name does not change the direction of the text around it. */
export function makeName({ id, name }) {
  return colorById(make("bdi", "name", name), id);
}

/** Sets the color of an element by the id of a person. The same person always has the same color. */
export function colorById(made, id) {
  let hue = 0;
  for (const character of id) hue = (hue * 31 + (character.codePointAt(0) ?? 0)) % 360;
  made.style.setProperty("--hue", String(hue));
  return made;
}

/** Calls `act` when a button is pressed. The button is disabled until then. */
export function onPress(button, act) {
  button.disabled = false;
  button.addEventListener("click", act);
}

/** Shows a problem next to an input, or removes it with an empty text. */
export function showProblem(input, problem) {
  element("problem").textContent = problem;
  input.setAttribute("aria-invalid", String(problem !== ""));
  if (problem === "") return;
  input.addEventListener("input", () => showProblem(input, ""), { once: true });
  input.focus();
  element("problem").scrollIntoView({ block: "nearest" });
}

/**
 * The submit event of a form calls `submit`, and Enter in its textarea does, too. Shift+Enter adds a line. The button of
 * the form is disabled until then, because without a listener the browser would leave the page.
 */
export function onSubmit(form, submit) {
  form.querySelector("[type=submit]").disabled = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  form.addEventListener("keydown", (event) => {
    // While an input method (IME) composes a character, Enter belongs to the input method.
    if (event.target.localName !== "textarea" || event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  });
}
