import { isThenable } from "../../connection/inbox.js";
import { describeValue, EnfiladeError } from "../../errors.js";
import { checkNames } from "../../wire/options.js";
import type { RoomPath } from "../../wire/path.js";
import type { Extension, ExtensionHost } from "./extension.js";
import { extensionPath } from "./extensionPath.js";

export interface ExtensionsDeps {
  readonly app: ExtensionHost;
  readonly report: (error: unknown, member: undefined, thrower: string) => void;
}

const hooks = ["install", "onRequest", "onStart", "onClose"] as const;

/** The extensions of one app. */
export class Extensions {
  readonly #deps: ExtensionsDeps;
  readonly #all: Extension[] = [];
  readonly #byPath = new Map<RoomPath, Extension>();
  #hasStarted = false;
  #closed: Promise<void> | undefined;

  constructor(deps: ExtensionsDeps) {
    this.#deps = deps;
  }

  /**
   * @throws EnfiladeError `ERR_OPTION` for an invalid extension, for one that the app has already, or for a path that
   *   another one has; `ERR_PATH` for an invalid path.
   */
  add(extension: Extension): void {
    checkExtension(extension);
    if (this.#all.includes(extension)) {
      const hint = "call use() once for each extension";
      throw new EnfiladeError("ERR_OPTION", `the app has this extension ${extension.name} already; ${hint}`);
    }
    const path = extension.path === undefined ? undefined : this.#freePath(extension.name, extension.path);
    // First, so that an extension that throws has no part in the app.
    this.#install(extension);
    if (path !== undefined) this.#byPath.set(path, extension);
    this.#all.push(extension);
    if (this.#hasStarted) void this.#run(extension, "onStart");
  }

  #install(extension: Extension): void {
    const result: unknown = extension.install?.(this.#deps.app);
    if (!isThenable(result)) return;
    // Its rejection is ignored, since a promise is an error in any case.
    result.then(undefined, () => undefined);
    const hint = "use() does not wait; move what takes time to onStart";
    throw new EnfiladeError("ERR_OPTION", `install of the extension ${extension.name} returned a promise; ${hint}`);
  }

  #freePath(name: string, path: string): RoomPath {
    const canonical = extensionPath(`the extension ${name}`, path);
    const other = this.#byPath.get(canonical);
    if (other !== undefined) {
      const hint = "give one of them another path";
      throw new EnfiladeError("ERR_OPTION", `the extensions ${other.name} and ${name} have one path, ${path}; ${hint}`);
    }
    return canonical;
  }

  /** True while no extension answers requests. */
  get areSilent(): boolean {
    return this.#byPath.size === 0;
  }

  /** The extension that answers plain requests to this path: of several, the one with the longest path. */
  find(path: RoomPath): Extension | undefined {
    const own = [...this.#byPath.keys()].filter((one) => isAtOrBelow(path, one));
    const [longest] = own.sort((a, b) => b.length - a.length);
    return longest && this.#byPath.get(longest);
  }

  /** Resolves when all extensions have started. Rejects with the first error. Further calls do nothing. */
  async start(): Promise<void> {
    if (this.#hasStarted) return;
    this.#hasStarted = true;
    for (const extension of this.#all) await extension.onStart?.();
  }

  /** Starts the extensions of an app that does not wait for them. */
  startSoon(): void {
    if (this.#hasStarted) return;
    this.#hasStarted = true;
    for (const extension of this.#all) void this.#run(extension, "onStart");
  }

  /** Resolves when every `onClose` has returned; never rejects. */
  close(): Promise<void> {
    this.#closed ??= Promise.all(this.#all.map((extension) => this.#run(extension, "onClose"))).then(() => undefined);
    return this.#closed;
  }

  /** Reports what the hook throws. */
  async #run(extension: Extension, hook: "onStart" | "onClose"): Promise<void> {
    try {
      await extension[hook]?.();
    } catch (error) {
      this.#deps.report(error, undefined, `${hook} of the extension ${extension.name}`);
    }
  }
}

function isAtOrBelow(path: RoomPath, top: RoomPath): boolean {
  return path === top || top === "/" || path.startsWith(`${top}/`);
}

function checkExtension(extension: Extension): void {
  // In JavaScript it may be anything.
  const given: unknown = extension;
  if (typeof given !== "object" || given === null || typeof extension.name !== "string" || extension.name === "") {
    const came = describeValue(given);
    throw new EnfiladeError(
      "ERR_OPTION",
      `use() takes an extension: an object with a name, such as metrics(); got ${came}`,
    );
  }
  const where = `the extension ${extension.name}`;
  if (Object.getPrototypeOf(extension) === Object.prototype) checkNames(where, extension, ["name", "path", ...hooks]);
  for (const hook of hooks) {
    const value: unknown = extension[hook];
    if (value === undefined || typeof value === "function") continue;
    throw new EnfiladeError("ERR_OPTION", `${hook} of ${where} takes a function, got ${describeValue(value)}`);
  }
  if ((extension.path === undefined) === (extension.onRequest === undefined)) return;
  throw new EnfiladeError("ERR_OPTION", `${where} needs both path and onRequest to answer requests`);
}
