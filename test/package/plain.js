import { App, WebSocketHandler } from "enfilade";
import { connect } from "enfilade/testing";

class Chat extends WebSocketHandler {
  static route = "/chat/:channel";

  onJSON(message) {
    this.sendJSONToThisRoom({ channel: this.params.channel, message });
  }
}

const app = new App({ handlers: [Chat] });
const client = await connect(app, "/chat/general");
client.sendJSON("hello");
console.log(JSON.stringify(await client.readJSON()));
await app.close();
