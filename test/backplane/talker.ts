import { anonymous, WebSocketHandler } from "../../src/index.js";

/** Whoever comes in hears a greeting when its node hears the room; what a client sends goes to its room. */
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
