import { isThenable } from "../connection/inbox.js";
import { describeValue, EnfiladeError, isInstance } from "../errors.js";
import type { AnyHandler } from "../handler/handler.js";
import type { HandlerClass } from "../handler/route.js";

/** Makes the handler of one connection: the option `create`. Must return a new instance of the class, not a promise. */
export type CreateHandler = (handlerClass: HandlerClass) => AnyHandler;

/** Makes handlers: with the option `create`, or else with `new`. */
export class HandlerFactory {
  readonly #create: CreateHandler | undefined;

  /** @throws EnfiladeError `ERR_OPTION` when `create` is not a function. */
  constructor(create: CreateHandler | undefined) {
    if (create !== undefined && typeof create !== "function") {
      throw new EnfiladeError("ERR_OPTION", `create takes a function that makes a handler, got ${typeof create}`);
    }
    this.#create = create;
  }

  /** @throws EnfiladeError `ERR_OPTION` when the constructor has parameters and `create` is not set. */
  check({ length, name }: HandlerClass): void {
    if (length === 0 || this.#create !== undefined) return;
    const parameters = `${length} parameter${length === 1 ? "" : "s"}`;
    throw new EnfiladeError(
      "ERR_OPTION",
      `the constructor of ${name} takes ${parameters}; pass new App({ create }) to make the handlers`,
    );
  }

  /** @throws EnfiladeError `ERR_OPTION` when `create` does not return an instance of this class. */
  make(handlerClass: HandlerClass): AnyHandler {
    // `check` has made sure that the constructor has no parameters.
    if (this.#create === undefined) return new handlerClass();
    const made: unknown = this.#create(handlerClass);
    if (isInstance(made, handlerClass)) return made;
    throw badInstance(made, handlerClass.name);
  }
}

function badInstance(made: unknown, name: string): EnfiladeError {
  if (isThenable(made)) {
    // Its rejection is ignored, since a promise is an error in any case.
    made.then(undefined, () => undefined);
    const hint = "it must return the instance itself; await in authorize or onConnect";
    return new EnfiladeError("ERR_OPTION", `create returned a promise for ${name}; ${hint}`);
  }
  const className = isInstance(made, Object) ? Reflect.get(made.constructor, "name") : undefined;
  const came = typeof className === "string" ? `an instance of ${className}` : describeValue(made);
  return new EnfiladeError(
    "ERR_OPTION",
    `create returned ${came} for ${name}; it must return a new instance of ${name}`,
  );
}
