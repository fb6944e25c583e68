import { EventHandler, HttpError, On, WebSocketHandler } from "../../src/index.js";

/** A room whose members may be refused, throw, and choose their close codes. */
export class Chat extends WebSocketHandler<{ room: string }, { id: string }> {
  override authorize(): { id: string } {
    if (this.query.get("as") === "mallory") throw new HttpError(403);
    return { id: this.query.get("as") ?? "guest" };
  }

  onMessage(text: string): void {
    if (text === "throw") throw new Error("boom");
    this.sendTextToThisRoom(text);
  }
}

export class Sums extends EventHandler {
  @On()
  onAdd({ a, b }: { a: number; b: number }): number {
    return a + b;
  }

  @On("later")
  async onSlow(): Promise<string> {
    return "later";
  }
}
