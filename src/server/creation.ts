import { isThenable } from "../connection/inbox.js";
import { EnfiladeError } from "../errors.js";
import type { AnyHandler } from "../handler/handler.js";
import type { HandlerClass } from "../handler/route.js";

/** Makes the handler of one connection. */
export type CreateHandler = (handlerClass: HandlerClass) => AnyHandler;

/** Makes handlers: by their constructors, or as the application says. */
export class HandlerFactory {
  readonly #create: CreateHandler | undefined;

  /** @throws EnfiladeError `ERR_OPTION` when `create` is no function. */
  constructor(create: CreateHandler | undefined) {
    if (create !== undefined && typeof create !== "function") {
      throw new EnfiladeError("ERR_OPTION", `create takes a function that makes a handler, got ${typeof create}`);
    }
    this.#create = create;
  }

  /** @throws EnfiladeError `ERR_OPTION` when only `create` could make a handler of this class, and there is none. */
  check({ length, name }: HandlerClass): void {
    if (length === 0 || this.#create !== undefined) return;
    const parameters = `${length} parameter${length === 1 ? "" : "s"}`;
    throw new EnfiladeError(
      "ERR_OPTION",
      `the constructor of ${name} takes ${parameters}: pass new App({ create }), which makes the handlers`,
    );
  }

  /** @throws EnfiladeError `ERR_OPTION` when `create` returns no handler of this class. */
  make(handlerClass: HandlerClass): AnyHandler {
    // Checked above to take nothing.
    if (this.#create === undefined) return new handlerClass();
    const made: unknown = this.#create(handlerClass);
    if (made instanceof handlerClass) return made;
    throw notMade(made, handlerClass.name);
  }
}

function notMade(made: unknown, name: string): EnfiladeError {
  if (isThenable(made)) {
    // Its rejection is no news: the promise itself is refused.
    made.then(undefined, () => undefined);
    const way = "it must return the instance itself: await in authorize or onConnect";
    return new EnfiladeError("ERR_OPTION", `create returned a promise for ${name}; ${way}`);
  }
  const came = made instanceof Object ? `an instance of ${made.constructor.name}` : String(made);
  return new EnfiladeError(
    "ERR_OPTION",
    `create returned ${came} for ${name}; it must return a new instance of ${name}`,
  );
}
