import { randomBytes } from "node:crypto";
import { createServer, type Server } from "node:http";
import { App, anonymous, type Clock } from "enfilade";
import type { Backplane } from "enfilade/backplane";
import { publishAPI } from "./corners/api.js";
import { Board } from "./corners/board.js";
import { Chat, reportPeople } from "./corners/chat.js";
import { Messages } from "./corners/messages.js";
import { Output, OutputRunner } from "./corners/output.js";
import { authorizeBy } from "./corners/people.js";
import { MemoryTodos, type TodoStore } from "./corners/todoStore.js";
import { TodoChanges } from "./corners/todos.js";
import { addOperations, isOfAdmin } from "./operations.js";
import { Pages } from "./pages.js";
import { Attempts } from "./sign-in/attempts.js";
import { Provider, type ProviderOptions } from "./sign-in/provider.js";
import { Sessions } from "./sign-in/sessions.js";
import { SignedValue } from "./sign-in/signedValue.js";
import { createSite } from "./site.js";

export interface ExampleOptions {
  /** Connects processes and keeps the history. Default: the memory of this process. */
  readonly backplane?: Backplane | undefined;
  /** Default: the memory of this process. */
  readonly todos?: TodoStore | undefined;
  /** Signs the cookies; at least 32 characters, the same in all processes. Default: a random one. */
  readonly secret?: string | undefined;
  /** Where people sign in. Default: they only choose a name. */
  readonly provider?: ProviderOptions | undefined;
  /** The URL of the site, such as `https://example.com`, behind a proxy. Default: that of each request. */
  readonly publicURL?: string | undefined;
  /** Opens `/health`, `/metrics` and the admin pages to operators. Without one, these are not there. */
  readonly operationsToken?: string | undefined;
  /** Attempts to sign in, for each address. Default: 10. */
  readonly signInsPerMinuteMax?: number | undefined;
  /** Milliseconds between two lines of the process. Default: 250. */
  readonly stepMs?: number | undefined;
  /** The time of the app, for tests. Default: that of the system. */
  readonly clock?: Clock | undefined;
}

export interface Example {
  readonly app: App;
  readonly server: Server;
  readonly sessions: Sessions;
}

/** Creates the example, ready to listen: Express answers HTTP, and the app accepts WebSockets on the same server. */
export function createExample(options: ExampleOptions = {}): Example {
  const { backplane, secret = randomBytes(32).toString("base64url") } = options;
  const sessions = new Sessions(secret);
  const authorizePerson = authorizeBy(sessions);
  const app = new App({
    handlers: [Chat, Messages, TodoChanges, Board, Output],
    authorize: (request) => (isOfAdmin(request) ? anonymous : authorizePerson(request)),
    backplane,
    clock: options.clock,
  });
  reportPeople(app);
  addOperations(app, { token: options.operationsToken, secret });
  const output = new OutputRunner(options.stepMs ?? 250);
  app.use(output);
  app.use(publishAPI(app));
  const site = createSite({
    app,
    sessions,
    output,
    pages: new Pages(),
    todos: options.todos ?? new MemoryTodos(),
    attempts: new Attempts(options.signInsPerMinuteMax ?? 10),
    provider: options.provider && new Provider(options.provider),
    checks: new SignedValue(secret, "sign-in"),
    publicURL: options.publicURL,
  });
  const server = createServer(site);
  app.attach(server);
  return { app, server, sessions };
}
