import { ConnectError } from "./errors.js";
import type { Listeners } from "./listeners.js";
import type { RoomEvents } from "./roomEvents.js";

/** Resolves with the room when it is connected for the first time. Rejects if it is closed first. */
export function whenOpened<Room extends Pick<Listeners<RoomEvents>, "on">>(room: Room): Promise<Room> {
  const opened = new Promise<Room>((resolve, reject) => {
    room.on("state", (state, detail) => {
      if (state === "open") resolve(room);
      else if (state === "closed") reject(new ConnectError(detail));
    });
  });
  // Code that does not use it must not get an unhandled rejection.
  opened.catch(() => undefined);
  return opened;
}
