import { CloseCode, type ConnectionRequest, EventHandler, HttpError, type Room, WebSocketHandler } from "enfilade";
import type { Person, Sessions } from "../sign-in/sessions.js";

/** A person as others see them. */
export interface PublicPerson {
  readonly id: string;
  readonly name: string;
}

/** The room of all people who have a page open. Its presence shows who can get a private message. */
export const peopleRoom = "/people";

export function publicPerson({ id, name }: Person): PublicPerson {
  return { id, name };
}

/** The option `presence` of a route: others see the name of a person. */
export const showNames = { mode: "full", show: ({ name }: Person) => ({ name }) } as const;

/** Accepts connections of people who are signed in: the `authorize` of the whole app. */
export function authorizeBy(sessions: Sessions) {
  return ({ headers }: ConnectionRequest): Person => {
    const person = sessions.personOf(headers.cookie);
    if (person === undefined) throw new HttpError(401, "sign in first");
    return person;
  };
}

/** A connection of a person who is signed in. It is in the room of all people, and ends with the session. */
export abstract class PersonHandler<Params extends object = object> extends WebSocketHandler<Params, Person> {
  onConnect(): void {
    enter(this);
  }

  /** A page joins no other room than its own and that of all people. */
  authorizeJoin({ path }: Room): boolean {
    return path === peopleRoom;
  }
}

/** As {@link PersonHandler}, for handlers of events: `PersonEvents.of(contract)`. */
export abstract class PersonEvents<Params extends object = object> extends EventHandler<Params, Person> {
  onConnect(): void {
    enter(this);
  }

  authorizeJoin({ path }: Room): boolean {
    return path === peopleRoom;
  }
}

function enter(handler: WebSocketHandler<object, Person>): void {
  handler.join(peopleRoom);
  const timer = setTimeout(
    () => handler.close(CloseCode.unauthorized, "the session has ended"),
    handler.user.expiresAtMs - Date.now(),
  );
  handler.signal.addEventListener("abort", () => clearTimeout(timer));
}
