import { z } from "zod";
import { App, anonymous, type HandlerClass, Route, type RouteOptions, WebSocketHandler } from "../../src/index.js";

class Channel extends WebSocketHandler<{ readonly channel: string }> {
  override onMessage(): void {
    this.sendText(this.params.channel);
  }
}
class Mutable extends WebSocketHandler<{ channel: string }> {
  override onMessage(): void {
    this.sendText(this.params.channel);
  }
}
class Numbered extends WebSocketHandler<{ readonly id: number }> {
  override onMessage(): void {
    this.sendText(this.params.id.toFixed());
  }
}
class Maybe extends WebSocketHandler<{ readonly tab?: string | undefined }> {
  override onMessage(): void {
    this.sendText(this.params.tab ?? "none");
  }
}
class Rest extends WebSocketHandler<{ readonly rest: string }> {
  override onMessage(): void {
    this.sendText(this.params.rest);
  }
}
class OrgChannel extends WebSocketHandler<{ readonly org: string; readonly channel: string }> {
  override onMessage(): void {
    this.sendText(this.params.org + this.params.channel);
  }
}
/** Accepts any parameters. */
class Default extends WebSocketHandler {
  override onMessage(): void {
    this.sendText(this.params.anything ?? "none");
  }
}
class Inherited extends Channel {}
abstract class Unfinished extends WebSocketHandler {
  abstract override onMessage(): void;
}
class Finished extends Unfinished {
  override onMessage(): void {
    this.close();
  }
}

const app = new App({ handlers: [Channel, Mutable, Numbered, Default, Inherited, Finished] });

app.route("/chat/:channel", Channel);
app.route("/chat/:channel", Mutable);
app.route("/chat/:channel", Inherited);
app.route("/chat/:channel/", Channel);
app.route("/chat/:channel/:more", Channel);
app.route("/chat/:channel(\\w+)", Channel);
app.route("/chat/:channel+", Channel);
app.route("/tabs/:tab?", Maybe);
app.route("/tabs/:tab", Maybe);
app.route("/tabs", Maybe);
app.route("/files/**:rest", Rest);
app.route("/files/:rest+", Rest);
app.route("/any", Default);
app.route("/any/:thing", Default);
app.route("/any/:thing?", Default);
app.route("/any/*", Default);
app.route("/any/**:rest", Default);
app.route("/finished/:x", Finished);

// @ts-expect-error: the pattern yields no channel
app.route("/chat", Channel);
// @ts-expect-error: the parameter has another name
app.route("/chat/:room", Channel);
// @ts-expect-error: the name differs in case
app.route("/chat/:Channel", Channel);
// @ts-expect-error: a class that inherits its parameters needs them too
app.route("/chat/:room", Inherited);
// @ts-expect-error: the parameter may be missing
app.route("/chat/:channel?", Channel);
// @ts-expect-error: the parameter may be missing
app.route("/files/:rest*", Rest);
// @ts-expect-error: a bare wildcard has no name
app.route("/files/**", Rest);
// @ts-expect-error: an escaped colon begins no parameter
app.route("/chat/\\:channel", Channel);
// @ts-expect-error: what a pattern yields is text, no number
app.route("/item/:id", Numbered);
// @ts-expect-error: one of two parameters is not there
app.route("/org/:org", OrgChannel);
// @ts-expect-error: an abstract class has no instances
app.route("/unfinished", Unfinished);
// @ts-expect-error: an instance is no class
app.route("/chat/:channel", new Finished());
// @ts-expect-error: a class that is no handler
app.route("/date", Date);
// @ts-expect-error: a pattern is a text
app.route(/chat/, Default);
// @ts-expect-error: an abstract class has no instances
app.route("/x", Default).route("/y", WebSocketHandler);
// @ts-expect-error: an abstract class has no instances
new App({ handlers: [Unfinished] });

// A schema.
const id = z.object({ id: z.coerce.number() });
app.route("/item/:id", Numbered, { params: id });
app.route("/item/:id", Default);
// @ts-expect-error: the schema returns a text where the class declares a number
app.route("/item/:id", Numbered, { params: z.object({ id: z.string() }) });
// @ts-expect-error: the schema returns another name
app.route("/item/:id", Numbered, { params: z.object({ number: z.coerce.number() }) });
// @ts-expect-error: the schema returns a number where the class declares a text
app.route("/chat/:channel", Channel, { params: z.object({ channel: z.coerce.number() }) });
// @ts-expect-error: the schema returns no object
app.route("/item/:id", Default, { params: z.string() });

// Options.
app.route("/o", Default, { name: "o", limits: { heartbeatMs: false }, origins: "*", badMessage: "close" });
// @ts-expect-error: an unknown option
app.route("/o", Default, { nmae: "o" });
// @ts-expect-error: an unknown limit
app.route("/o", Default, { limits: { messageBytes: 1 } });
// @ts-expect-error: a limit of the whole app
app.route("/o", Default, { limits: { roomsMax: 1 } });
// @ts-expect-error: a limit is a number
app.route("/o", Default, { limits: { joinsMax: "1" } });
// @ts-expect-error: only the heartbeat may be off
new App({ limits: { closeMs: false } });

// Scopes.
app.scope("/org/:org", (org) => {
  org.route("/chat/:channel", OrgChannel);
  org.route("/chat/:channel", Channel);
  org.route("/", Default);
  // @ts-expect-error: neither the prefix nor the pattern yields a channel
  org.route("/chat", OrgChannel);
  // @ts-expect-error: the pattern yields no number
  org.route("/item/:id", Numbered);
  org.route("/item/:id", Numbered, { params: id });
  org.scope("/chat/:channel", (channel) => {
    channel.route("/log", OrgChannel);
    channel.route("/", OrgChannel);
    // @ts-expect-error: nothing yields rest
    channel.route("/log", Rest);
    // @ts-expect-error: an abstract class has no instances
    channel.route("/unfinished", Unfinished);
  });
});
app.scope("/guarded", (scope) => scope.route("/a", Default), { authorize: ({ headers }) => headers.host ?? anonymous });
// @ts-expect-error: a header that is missing is no user
app.scope("/guarded", (scope) => scope.route("/a", Default), { authorize: ({ headers }) => headers.authorization });
// @ts-expect-error: what returns nothing returns no user
app.scope("/guarded", (scope) => scope.route("/a", Default), { authorize: () => undefined });
new App({ authorize: async ({ query }) => query.get("as") ?? anonymous });
// @ts-expect-error: a promise of nothing is no user either
new App({ authorize: async () => undefined });
// @ts-expect-error: a text is no function
new App({ authorize: "ann" });
// @ts-expect-error: a gate is a function
app.scope("/guarded", (scope) => scope.route("/a", Default), { authorize: true });
// @ts-expect-error: a scope has no name
app.scope("/guarded", (scope) => scope.route("/a", Default), { name: "a" });

// A pattern that is known only at run time yields any parameters.
const dynamic: string = ["/chat", ":channel"].join("/");
app.route(dynamic, Default);
app.route(dynamic, Maybe);

// Decorators.
@Route("/chat/:channel")
export class Decorated extends WebSocketHandler<{ readonly channel: string }> {
  override onMessage(): void {
    this.sendText(this.params.channel);
  }
}

@Route("/a/:channel")
@Route("/b/:channel", { name: "b", limits: { joinsMax: 1 } })
export class DecoratedTwice extends Channel {}

@Route("/any/:thing?")
export class DecoratedDefault extends WebSocketHandler {
  override onMessage(): void {
    this.sendText(this.params.thing ?? "none");
  }
}

@Route("/item/:id", { params: id })
export class DecoratedSchema extends Numbered {}

@Route("/files/**:rest")
export class DecoratedRest extends Rest {}

// @ts-expect-error: the pattern yields no channel
@Route("/chat/:room")
export class WrongName extends Channel {}

// @ts-expect-error: the parameter may be missing
@Route("/chat/:channel?")
export class WrongOptional extends Channel {}

// @ts-expect-error: what a pattern yields is text, no number
@Route("/item/:id")
export class WrongType extends Numbered {}

// @ts-expect-error: the schema returns a text where the class declares a number
@Route("/item/:id", { params: z.object({ id: z.string() }) })
export class WrongSchema extends Numbered {}

// @ts-expect-error: an abstract class has no instances
@Route("/unfinished")
export abstract class WrongAbstract extends WebSocketHandler {}

// @ts-expect-error: a class that is no handler
@Route("/thing")
export class WrongClass {}

export class WrongPlace extends Channel {
  // @ts-expect-error: a route belongs to a class, not to a method
  @Route("/method")
  answer(): void {
    this.close();
  }
}

export const handlerClass: HandlerClass<{ readonly channel: string }> = Channel;
export const general: HandlerClass = Channel;
// @ts-expect-error: a number is no text
export const wrongParams: HandlerClass<{ readonly id: string }> = Numbered;
export const options: RouteOptions<{ id: number }> = { params: id };
// @ts-expect-error: the schema returns a number
export const wrongOptions: RouteOptions<{ id: string }> = { params: id };
