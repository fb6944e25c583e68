import { EnfiladeError } from "../errors.js";

/** The error of a backplane that no app uses: not yet, or no longer. */
export function closedError(): EnfiladeError {
  return new EnfiladeError("ERR_APP_STATE", "the app is closed, so its backplane cannot be used; make a new App");
}
