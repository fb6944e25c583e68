/** Returns the element with this id. The page has every id that this code asks for. */
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

/** Shows one view of the page and hides the others. */
export function show(id) {
  for (const view of document.querySelectorAll("main")) view.hidden = view.id !== id;
}

/** Values in localStorage, which a browser may refuse to provide. */
export const stored = {
  get name() {
    try {
      return localStorage.getItem("name") ?? "";
    } catch {
      return "";
    }
  },
  set name(name) {
    try {
      localStorage.setItem("name", name);
    } catch {
      // The page asks for the name again next time.
    }
  },
};
