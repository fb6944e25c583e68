import { EventHandler } from "enfilade";

export class Sums extends EventHandler {
  static readonly events = { add: "onAdd" };

  onAdd({ a, b }: { a: number; b: number }): number {
    this.emitToThisRoom("added", { a, b });
    return a + b;
  }
}
