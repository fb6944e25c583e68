import { App, type DataOf, EventHandler } from "enfilade";
import { connect } from "enfilade/client";
import { contract, type Schema } from "enfilade/contract";
import { socketsOf } from "enfilade/testing";

/** A schema of no library. */
const text: Schema<string> = {
  "~standard": {
    version: 1,
    vendor: "own",
    validate: (value) => (typeof value === "string" ? { value } : { issues: [{ message: "expected a text" }] }),
  },
};

const talk = contract({ receives: { say: { data: text, reply: text } }, sends: { said: text } });

class Talk extends EventHandler.of(talk)<{ channel: string }> {
  onSay(said: DataOf<typeof talk, "say">) {
    this.emit("said", said);
    return `${said} in ${this.params.channel}`;
  }
}

const app = new App().route("/talk/:channel", Talk);
const room = connect<typeof talk>("ws://localhost/talk/general", { WebSocket: socketsOf(app) });
room.onEvent("said", (said: string) => console.log(said));
const reply: string = await room.request("say", "hello");
// @ts-expect-error: there is no such event.
await room.request("shout").catch(({ code }: { code: string }) => console.log(reply, code, app.asyncapi().asyncapi));
room.close();
await app.close();
