import type { Presence } from "../../client/presence.js";
import type { Screen } from "./screen.js";

/** Users of one change that are named. */
const namesMax = 5;

/** Shows each change of the users in a room. */
export class PresenceNotes {
  readonly #screen: Screen;
  #ids: ReadonlySet<string> = new Set();

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  show({ count, users }: Presence): void {
    const ids = new Set(users.map(({ id }) => id));
    const joined = [...ids].filter((id) => !this.#ids.has(id));
    const left = [...this.#ids].filter((id) => !ids.has(id));
    this.#ids = ids;
    const changes = [namesOf(joined, "joined"), namesOf(left, "left")].flat();
    const text = changes.length === 0 ? "" : `${changes.join(", ")}; `;
    this.#screen.note(`${text}${count} in the room`);
  }
}

function namesOf(ids: readonly string[], verb: string): string[] {
  if (ids.length === 0) return [];
  const more = ids.length > namesMax ? [`${ids.length - namesMax} more`] : [];
  return [`${[...ids.slice(0, namesMax), ...more].join(", ")} ${verb}`];
}
