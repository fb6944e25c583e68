/** The element with this id, which the page is known to have. */
export function element(id) {
  return document.getElementById(id);
}

/** A new element; what it says is text, whatever it looks like. */
export function make(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/** Shows one of the views of the page. */
export function show(id) {
  for (const view of document.querySelectorAll("main")) view.hidden = view.id !== id;
}

/** What stands in localStorage, which a browser may refuse to give. */
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
      // Then the name is asked for again next time.
    }
  },
};
