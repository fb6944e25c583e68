import type { ConnectionRequest } from "../../connection/request.js";
import { EventError, HttpError } from "../../errors.js";
import { EventHandler } from "../../handler/events.js";
import type { HandlerClass } from "../../handler/route.js";
import { type Authorized, anonymous } from "../../handler/user.js";
import type { Guard } from "../access/guard.js";
import type { LiveFilter } from "../api.js";
import type { LiveOperator, Operators } from "./operators.js";

const idLengthMax = 100;
const filterNames = ["room", "user", "connection", "direction", "text"];

/** The class of the live connections of pages. */
export function liveHandler(guard: Guard, operators: Operators): HandlerClass {
  return class AdminLive extends EventHandler {
    static readonly events = { tap: "onTap", untap: "onUntap" };
    #operator: LiveOperator | undefined;

    override async authorize(request: ConnectionRequest): Promise<Awaited<Authorized<undefined>>> {
      const operator = await guard.operatorOf(request);
      if (typeof operator !== "string") return operator;
      if (operators.isFull) throw new HttpError(503, "Too many operators", { headers: { "retry-after": "5" } });
      // Not a user of the app: messages to a user of the same name must not come here.
      return anonymous;
    }

    override onConnect() {
      const { connection } = this;
      const emit = (event: string, data: unknown) => this.emit(event, data);
      this.#operator = {
        id: connection.id,
        get bufferedBytes() {
          return connection.bufferedBytes;
        },
        emit,
      };
      operators.add(this.#operator);
    }

    override onClose() {
      if (this.#operator !== undefined) operators.remove(this.#operator);
    }

    onTap(data: unknown) {
      const { id, filter } = tapOf(data);
      if (this.#operator !== undefined) operators.tap(this.#operator, id, filter);
      return {};
    }

    onUntap(data: unknown) {
      if (this.#operator !== undefined) operators.untap(this.#operator, idOf(data));
      return {};
    }
  };
}

function idOf(data: unknown): string {
  const id: unknown = Object(data).id;
  if (typeof id === "string" && id !== "" && id.length <= idLengthMax) return id;
  throw new EventError("bad_data", `id takes a text of 1 to ${idLengthMax} characters`);
}

function tapOf(data: unknown): { id: string; filter: LiveFilter } {
  const filter: unknown = Object(data).filter;
  if (typeof filter !== "object" || filter === null) throw new EventError("bad_filter", "filter takes an object");
  const unknownName = Object.keys(filter).find((name) => !filterNames.includes(name));
  if (unknownName !== undefined) throw new EventError("bad_filter", `A filter has only ${filterNames.join(", ")}`);
  // Its values are checked by the tap.
  return { id: idOf(data), filter: filter as LiveFilter };
}
