import { describeValue, EnfiladeError, isInstance } from "../../errors.js";
import { type RoomPath, roomName } from "../../wire/path.js";

/**
 * The canonical path of an extension.
 *
 * @param owner Has the path, as the error names it.
 * @throws EnfiladeError `ERR_OPTION` when it is no string, or looks like a pattern; `ERR_PATH` when it is no path.
 */
export function extensionPath(owner: string, path: unknown): RoomPath {
  const where = `path of ${owner}`;
  if (typeof path !== "string") {
    throw new EnfiladeError("ERR_OPTION", `${where} takes a path such as "/rooms", got ${describeValue(path)}`);
  }
  const [, fixed, parameter] = /^(.*?)\/([:{[<*][^/]*)/.exec(path) ?? [];
  if (parameter !== undefined) {
    const hint = `without parameters; pass "${fixed || "/"}": the extension gets all requests below it`;
    throw new EnfiladeError("ERR_OPTION", `${where} takes a path ${hint}; got ${describeValue(path)}`);
  }
  try {
    return roomName(path);
  } catch (error) {
    if (!isInstance(error, EnfiladeError)) throw error;
    throw new EnfiladeError(error.code, `${where}: ${error.message}`);
  }
}
