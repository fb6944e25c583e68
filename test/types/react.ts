import type { AsJSON, ClientMessage, ClientRoom, Presence, RequestError } from "../../src/client/index.js";
import { EventHandler, On } from "../../src/index.js";
import {
  type UseRoomState,
  useEvent,
  useMessages,
  usePresence,
  useRequest,
  useResync,
  useRoom,
} from "../../src/react/index.js";

/** Compiles only for a value of that type. */
function is<Type>(value: Type): Type {
  return value;
}

class Chat extends EventHandler {
  @On()
  onJoin({ name }: { readonly name: string }) {
    return { size: name.length, at: new Date() };
  }
  @On()
  onTyping(_isOn?: boolean): void {
    this.emitToThisRoom("typing");
  }
}

interface ClientEvents {
  "who is"(id: string): { readonly name: string } | undefined;
}
interface ServerEvents {
  readonly joined: { readonly name: string; readonly at: Date };
  confirm(question: string): boolean;
}

/** With the class of a handler. */
export function OfClass(): void {
  const { room, state, detail, reconnect } = useRoom<Chat>("/chat/general", { token: "secret", key: 7, lingerMs: 0 });
  is<ClientRoom<Chat> | undefined>(room);
  is<UseRoomState>(state);
  is<number | undefined>(detail.status);
  is<() => void>(reconnect);
  useRoom(new URL("ws://localhost/chat/a"), { token: async () => "secret" });
  useRoom(null);
  useRoom(undefined);

  const join = useRequest(room, "join");
  is<Promise<{ size: number; at: string }>>(join.request({ name: "x" }));
  is<Promise<{ size: number; at: string }>>(join.request({ name: "x" }, { timeoutMs: 5 }));
  is<AsJSON<{ size: number; at: Date }> | undefined>(join.data);
  is<Error | undefined>(join.error);
  is<boolean>(join.isPending);
  join.reset();
  is<Promise<void>>(useRequest(room, "typing").request());
  is<Promise<void>>(useRequest(room, "typing").request(true));

  // @ts-expect-error: the room may be missing
  room.request("join", { name: "x" });
  // @ts-expect-error: there is no such event
  useRequest(room, "leave");
  // @ts-expect-error: the name is a string
  join.request({ name: 1 });
  // @ts-expect-error: the data is missing
  join.request();
  // @ts-expect-error: there is no such option
  join.request({ name: "x" }, { timeout: 5 });
  // @ts-expect-error: a Date arrives as a string
  is<Date | undefined>(join.data?.at);
  // @ts-expect-error: there may be no data yet
  is<{ size: number; at: string }>(join.data);
  // @ts-expect-error: the error may be another one
  is<RequestError | undefined>(join.error);
  // @ts-expect-error: there is no such option
  useRoom("/chat/general", { lingerMS: 5 });
  // @ts-expect-error: useResync takes its place
  useRoom("/chat/general", { onResync: () => undefined });
  // @ts-expect-error: a URL is no number
  useRoom(7);
}

/** With two interfaces. */
export function OfInterfaces(): void {
  const contract = useRoom<ClientEvents, ServerEvents>("/chat/general").room;
  is<ClientRoom<ClientEvents, ServerEvents> | undefined>(contract);
  is<Promise<{ name: string } | null>>(useRequest(contract, "who is").request("ann"));
  is<{ name: string } | null | undefined>(useRequest(contract, "who is").data);
  is<void>(useEvent(contract, "joined", ({ name, at }) => name + at.slice(0, 10)));
  is<void>(useMessages(contract, (message) => is<ClientMessage>(message)));
  is<void>(
    useResync(contract, async (connected) => is<{ name: string } | null>(await connected.request("who is", "ann"))),
  );
  is<Presence>(usePresence(contract));

  // @ts-expect-error: names are those of the wire
  useRequest(contract, "whoIs");
  // @ts-expect-error: the server sends no such event
  useEvent(contract, "left", () => undefined);
  // @ts-expect-error: the server requests it
  useEvent(contract, "confirm", () => undefined);
  // @ts-expect-error: a Date arrives as a string
  useEvent(contract, "joined", ({ at }) => at.getTime());
  // @ts-expect-error: the name is a string
  useEvent(contract, "joined", ({ name }: { name: number }) => name);
}

/** Without types. */
export function Untyped(): void {
  const untyped = useRoom("/chat/general").room;
  is<Promise<unknown>>(useRequest(untyped, "anything").request({ at: "all" }));
  useEvent(untyped, "anything", (data) => is<unknown>(data));
  // @ts-expect-error: nothing is known of the data
  useEvent(untyped, "anything", (data: string) => data);
}
