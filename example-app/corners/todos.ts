import { randomUUID } from "node:crypto";
import { type App, Route } from "enfilade";
import { json, type Request, type Response, Router } from "express";
import { z } from "zod";
import { describeProblem, singleLine } from "../text.js";
import { PersonHandler } from "./people.js";
import type { Todo, TodoStore } from "./todoStore.js";

/** A message from the server to a page. */
export type FromTodos =
  | { readonly type: "changed"; readonly todo: Todo }
  | { readonly type: "removed"; readonly id: string };

const todosMax = 100;
const Addition = z.object({ title: singleLine("A to-do", 100) }, 'A to-do is JSON such as {"title": "Buy milk"}.');
const Change = z.object({ isDone: z.boolean() }, 'A change is JSON such as {"isDone": true}.');

/** Pages that show the list. They change it over HTTP, and get the changes of all pages by the channel of this route. */
@Route("/todo-changes", { name: "todos" })
export class TodoChanges extends PersonHandler {
  onMessage(): void {
    this.close(4505, "change to-dos over HTTP");
  }
}

/** The list over HTTP. Each change is stored first, and then sent to the pages. */
export function createTodos(app: App, store: TodoStore): Router {
  const router = Router();
  const notify = (message: FromTodos) => app.channel("todos").sendJSON(message);
  router.use(json({ limit: "4kb" }));
  router.get("/", async (_request, response) => response.json(await store.list()));
  router.post("/", async (request, response) => {
    const { title } = Addition.parse(request.body);
    if ((await store.list()).length >= todosMax) return refuse(response, 409, `There are ${todosMax} to-dos already.`);
    const todo = { id: randomUUID(), title, isDone: false, at: new Date().toISOString() };
    await store.put(todo);
    notify({ type: "changed", todo });
    response.status(201).json(todo);
  });
  router.patch("/:id", async (request, response) => {
    const { isDone } = Change.parse(request.body);
    const todo = await store.find(request.params.id);
    if (todo === undefined) return refuse(response, 404, "There is no such to-do.");
    const changed = { ...todo, isDone };
    await store.put(changed);
    notify({ type: "changed", todo: changed });
    response.json(changed);
  });
  router.delete("/:id", async (request, response) => {
    const { id } = request.params;
    if (!(await store.remove(id))) return refuse(response, 404, "There is no such to-do.");
    notify({ type: "removed", id });
    response.sendStatus(204);
  });
  router.use(answerProblem);
  return router;
}

function refuse(response: Response, status: number, error: string): void {
  response.status(status).json({ error });
}

/** Answers what a schema refused. Express recognises an error handler by its four parameters. */
function answerProblem(error: unknown, _request: Request, response: Response, next: (error: unknown) => void): void {
  if (error instanceof z.ZodError) refuse(response, 400, describeProblem(error));
  else next(error);
}
