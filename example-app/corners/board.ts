import { latest, Route } from "enfilade";
import { z } from "zod";
import { PersonHandler, showNames } from "./people.js";

/** Bytes of a position: x and y as unsigned 16-bit integers in network order, from 0 (left, top) to 65,535. */
const positionBytes = 4;

/**
 * Cursors on a shared board, as binary messages. A page sends its position. The others get the position, followed by
 * the id of its person in UTF-8; presence has the name.
 */
@Route("/boards/:board", {
  params: z.object({ board: z.string().regex(/^\w{1,32}$/) }),
  limits: { messageBytesMax: 64, messagesPerSecondMax: 100 },
  presence: { ...showNames, leaveGraceMs: 0 },
})
export class Board extends PersonHandler<{ board: string }> {
  onBinary(bytes: Uint8Array): void {
    if (bytes.length !== positionBytes) {
      this.close(4505, "a position has 4 bytes");
      return;
    }
    const id = new TextEncoder().encode(this.user.id);
    const message = new Uint8Array([...bytes, ...id]);
    // A slow client gets only the newest position of each person, and no history keeps any.
    this.room.sendBinary(message, { policy: latest(`cursor:${this.user.id}`), except: this });
  }

  onMessage(): void {
    this.close(4505, "a position is a binary message");
  }
}
