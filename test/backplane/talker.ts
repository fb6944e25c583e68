import { anonymous, WebSocketHandler } from "../../src/index.js";

/** Greets each client when its node receives the room, and sends the client's messages to its room. */
export class Talker extends WebSocketHandler {
  override authorize() {
    const id = this.query.get("user");
    return id === null ? anonymous : { id, name: `Name of ${id}` };
  }
  override onConnect() {
    this.sendJSON("hello");
  }
  onJSON(value: unknown) {
    this.sendJSONToThisRoom(value);
  }
}
