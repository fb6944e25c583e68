import { z } from "zod";
import { anonymous, type ConnectionRequest, HttpError, type Room, WebSocketHandler } from "../../src/index.js";

interface Person {
  readonly id: string;
  readonly name: string;
}

/** All hooks, in each valid form. */
export abstract class Private extends WebSocketHandler<{ readonly channel: string }, Person> {
  override async authorize(request: ConnectionRequest): Promise<Person | Response> {
    if (request.query.get("token") === null) throw new HttpError(401);
    if (request.headers.cookie === undefined) return new Response(null, { status: 403 });
    return { id: "1", name: "Ann" };
  }
}

export class Chat extends Private {
  override onConnect(): void {
    const name: string = this.user.name;
    this.sendText(name);
  }
  override onJSON(message: unknown, error?: Error): void {
    this.sendJSONToThisRoom({ message, error: error?.message }, { except: this });
  }
  override onBinary(bytes: Uint8Array): void {
    this.sendBinaryToAll(bytes, { except: [this.id, this.connection] });
  }
  override onClose(code: number, reason: string): void {
    this.sendTextToRoom("/log", `${code.toFixed()} ${reason.trim()}`);
  }
  override onError(error: Error): void {
    this.sendTextToUser(this.user, error.message);
  }
}

export class Moving extends Private {
  override authorizeJoin(room: Room): boolean {
    return room.path.startsWith("/teams/");
  }
  override onRoomJoin(room: Room): void {
    room.sendText(this.user.name);
  }
  override async onRoomLeave({ path }: Room): Promise<void> {
    await this.join(`${path}/archive`);
  }
}

export class MovingLater extends Private {
  override async authorizeJoin(room: Room): Promise<boolean> {
    return (await room.presence()).count < 10;
  }
}

export class MovingWrongly extends Private {
  // @ts-expect-error: a user does not accept, only true does
  override authorizeJoin() {
    return this.user;
  }
}

export class Asynchronous extends Private {
  override async onConnect(): Promise<void> {
    await this.connection.flushed();
  }
  override async onMessage(text = ""): Promise<void> {
    this.sendText(text);
    await this.connection.flushed();
  }
  override async onClose(): Promise<void> {
    await Promise.resolve();
  }
}

export class Loop extends Private {
  override async serve(): Promise<void> {
    for await (const message of this.connection) {
      if (message.isText) this.sendText(message.text);
    }
    const order = await this.connection.readJSON(z.object({ count: z.number() }));
    const count: number = order.count;
    this.sendJSON(count);
    // @ts-expect-error: the schema returns no total
    this.sendJSON(order.total);
  }
}

/** TypeScript compares method parameters in both directions, so a method may declare the type of its messages. */
export class Trusting extends WebSocketHandler {
  override onJSON(message: { readonly text: string }): void {
    this.sendText(message.text);
  }
}

export class WrongText extends WebSocketHandler {
  // @ts-expect-error: a message is a text
  override onMessage(text: number): void {
    this.sendText(text.toFixed());
  }
}

export class WrongBytes extends WebSocketHandler {
  // @ts-expect-error: binary messages are bytes
  override onBinary(bytes: string): void {
    this.sendText(bytes);
  }
}

export class WrongClose extends WebSocketHandler {
  // @ts-expect-error: the code comes first, and is a number
  override onClose(reason: string, code: number): void {
    this.sendText(reason + code.toFixed());
  }
}

export class WrongServe extends WebSocketHandler {
  // @ts-expect-error: the loop is asynchronous
  override serve(): void {
    this.close();
  }
}

export class WrongUser extends WebSocketHandler<object, Person> {
  // @ts-expect-error: the user has no name
  override authorize(): { readonly id: string } {
    return { id: "1" };
  }
}

/** The result of a look-up that may find nothing. */
declare function lookUp(token: string | undefined): Promise<Person | undefined>;

export class Visitor extends WebSocketHandler<object, Person | undefined> {
  override async authorize({ token }: ConnectionRequest) {
    return (await lookUp(token)) ?? anonymous;
  }
}

export class WrongVisitor extends WebSocketHandler<object, Person> {
  // @ts-expect-error: this.user would be undefined, and its type says that it is a Person
  override async authorize({ token }: ConnectionRequest) {
    return (await lookUp(token)) ?? anonymous;
  }
}

export class Anybody extends WebSocketHandler {
  override authorize() {
    return anonymous;
  }
}

/** The subclasses may define the user of a base class. */
export abstract class Generic<User extends object> extends WebSocketHandler<object, User> {
  abstract find(token: string): User | undefined;
  override authorize({ token = "" }: ConnectionRequest): User | Response {
    return this.find(token) ?? new Response(null, { status: 401 });
  }
}

export class WrongLookUp extends WebSocketHandler<object, Person> {
  // @ts-expect-error: it may find nothing
  override authorize({ token }: ConnectionRequest) {
    return lookUp(token);
  }
}

export class WrongNothing extends WebSocketHandler {
  // @ts-expect-error: to accept every client, return anonymous
  override authorize(): undefined {
    this.signal.throwIfAborted();
  }
}

export class WrongNothingLater extends WebSocketHandler {
  // @ts-expect-error: a promise of undefined accepts no client
  override async authorize(): Promise<void> {
    this.signal.throwIfAborted();
  }
}

export class WrongAnswer extends WebSocketHandler {
  // @ts-expect-error: a decision is no user
  override authorize({ token }: ConnectionRequest): boolean {
    return token === "secret";
  }
}

export class WrongRequest extends WebSocketHandler {
  // @ts-expect-error: a request is asked, not a number
  override authorize(request: number) {
    return request.toFixed();
  }
}

export class WrongUse extends Private {
  override onMessage(): void {
    // @ts-expect-error: there is no such parameter
    this.sendText(this.params.room);
    // @ts-expect-error: parameters are read, not written
    this.params.channel = "x";
    // @ts-expect-error: the user has no such field
    this.sendText(this.user.email);
    // @ts-expect-error: a text is sent
    this.sendText(7);
    // @ts-expect-error: bytes are sent
    this.sendBinary("abc");
    // @ts-expect-error: an unknown option
    this.sendJSONToThisRoom(1, { expect: this });
    // @ts-expect-error: a close code is a number
    this.close("1000");
  }
}

// @ts-expect-error: parameters are an object
export class WrongParams extends WebSocketHandler<string> {}
