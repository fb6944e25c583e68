import { App, EventHandler, On, Route, WebSocketHandler } from "enfilade";
import { connect } from "enfilade/testing";

@Route("/chat/:channel", { name: "chat" })
@Route("/talk/:channel")
class Chat extends WebSocketHandler<{ channel: string }> {
  override onJSON(message: unknown): void {
    this.sendJSONToThisRoom({ channel: this.params.channel, message });
  }
}

@Route("/events")
class Events extends EventHandler {
  @On()
  onDouble(n: number): number {
    return 2 * n;
  }
}

const app = new App({ handlers: [Chat, Events] });
const client = await connect(app, app.url("chat", { channel: "general" }));
client.sendJSON("hello");
console.log(JSON.stringify(await client.readJSON()));
const events = await connect(app, "/events");
events.sendJSON({ event: "double", data: 21, id: 1 });
console.log(JSON.stringify(await events.readJSON()));
console.log(app.routes.map(({ pattern }) => pattern).join(" "));
await app.close();
