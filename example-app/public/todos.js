import { element, make, onSubmit, showProblem } from "./element.js";
import { callAPI, join } from "./page.js";

const input = element("new-title");
const items = new Map();

const room = join("/todo-changes");
// Loads the list at the start and after a loss. Changes that arrive meanwhile are shown after it.
room.onResync(loadTodos);
room.on("message", ({ data }) => {
  if (data.type === "changed") showTodo(data.todo);
  else if (data.type === "removed") removeTodo(data.id);
});
onSubmit(element("add"), addTodo);

async function loadTodos() {
  const todos = await (await callAPI("GET", "/todos")).json();
  for (const id of items.keys()) removeTodo(id);
  for (const todo of todos) showTodo(todo);
  showEmpty();
}

async function addTodo() {
  const title = input.value.trim();
  if (title === "") return showProblem(input, "Write what is to be done.");
  if (await change("POST", "/todos", { title })) input.value = "";
}

/** Sends a change. The page shows it when the server has reported it, as all other pages do. */
async function change(method, path, body) {
  try {
    const response = await callAPI(method, path, body);
    showProblem(input, response.ok ? "" : (await response.json()).error);
    return response.ok;
  } catch {
    showProblem(input, "The server cannot be reached. Try again.");
    return false;
  }
}

function showTodo({ id, title, isDone }) {
  const item = items.get(id) ?? createItem(id, title);
  item.querySelector("input").checked = isDone;
  showEmpty();
}

function createItem(id, title) {
  const item = make("li", "card-row todo");
  const label = make("label", "");
  const box = make("input", "");
  box.type = "checkbox";
  box.addEventListener("change", () => change("PATCH", `/todos/${id}`, { isDone: box.checked }));
  const text = make("span", "card-name", title);
  text.dir = "auto";
  label.append(box, text);
  const remove = make("button", "quiet", "Remove");
  remove.type = "button";
  remove.setAttribute("aria-label", `Remove ${title}`);
  remove.addEventListener("click", () => change("DELETE", `/todos/${id}`));
  item.append(label, remove);
  items.set(id, item);
  element("todos").append(item);
  return item;
}

function removeTodo(id) {
  const item = items.get(id);
  // The focus must not be lost with the button.
  if (item?.contains(document.activeElement)) input.focus();
  item?.remove();
  items.delete(id);
  showEmpty();
}

function showEmpty() {
  element("empty").hidden = items.size > 0;
}
