import { type PathParams, type RoomPath, type RouteParams, roomPath } from "../../src/index.js";

/** Compiles only for a value of that type. */
function is<Type>(value: Type): Type {
  return value;
}

is<RoomPath>(roomPath("/chat/:channel", { channel: "general" }));
is<string>(roomPath("/chat/:channel", { channel: 7 }));
roomPath("/lobby", {});
roomPath("/a/:b/:c", { b: "x", c: 1 });
roomPath("/a/:b?", {});
roomPath("/a/:b?", { b: "x" });
roomPath("/a/:b?", { b: undefined });
roomPath("/a/:b/:c?", { b: "x" });
roomPath("/user/:id(\\d+)", { id: 12 });
roomPath("/files/**:rest", { rest: "a/b" });
roomPath("/files/:rest+", { rest: "a/b" });
roomPath("/files/:rest*", {});
const dynamic: string = ["/chat", ":channel"].join("/");
roomPath(dynamic, { channel: "general" });

// @ts-expect-error: there are no parameters
roomPath("/chat/:channel");
// @ts-expect-error: the channel is missing
roomPath("/chat/:channel", {});
// @ts-expect-error: c is missing
roomPath("/a/:b/:c", { b: "x" });
// @ts-expect-error: b is missing, c is not
roomPath("/a/:b/:c?", { c: "x" });
// @ts-expect-error: a parameter of another name
roomPath("/chat/:channel", { room: "general" });
// @ts-expect-error: the channel may not be undefined
roomPath("/chat/:channel", { channel: undefined });
// @ts-expect-error: the channel may not be null
roomPath("/chat/:channel", { channel: null });
// @ts-expect-error: the channel may not be a boolean
roomPath("/chat/:channel", { channel: true });
// @ts-expect-error: the rest is a text, no list
roomPath("/files/**:rest", { rest: ["a", "b"] });
// @ts-expect-error: one or more segments have to be there
roomPath("/files/:rest+", {});
// @ts-expect-error: the id is missing
roomPath("/user/:id(\\d+)", {});
// @ts-expect-error: a text is no room path before it was checked
is<RoomPath>("/chat/general");

declare const chat: RouteParams<"/chat/:channel/:tab?">;
is<string>(chat.channel);
is<string | undefined>(chat.tab);
// @ts-expect-error: the tab may be missing
is<string>(chat.tab);
// @ts-expect-error: parameters are read, not written
chat.channel = "x";
// @ts-expect-error: there is no such parameter
is<unknown>(chat.room);

is<PathParams<"/a/:b/:c?">>({ b: "x" });
is<PathParams<"/a/:b/:c?">>({ b: 1, c: "y" });
// @ts-expect-error: b is missing
is<PathParams<"/a/:b/:c?">>({});
