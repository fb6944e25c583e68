import { Activity, Component, memo, type ReactNode, useEffect, useState } from "react";
import { useEvent, useMessages, usePresence, useResync, useRoom } from "../../../src/react/index.js";
import { Button, Chat, clock, Said, Toggle, useTestRoom } from "./parts.js";

export function One(): ReactNode {
  return (
    <Toggle name="ann">
      <Chat name="ann" url="/chat/a" />
    </Toggle>
  );
}

export function Several(): ReactNode {
  return (
    <>
      {["ann", "bob"].map((name) => (
        <Toggle key={name} name={name}>
          <Chat name={name} url="/chat/a" />
        </Toggle>
      ))}
      <Chat name="eve" url="/chat/a" user="eve" />
    </>
  );
}

export function Moving(): ReactNode {
  const [url, setURL] = useState<string | null>(null);
  return (
    <>
      <Chat name="ann" url={url} />
      <Button name="to a" onClick={() => setURL("/chat/a")} />
      <Button name="to b" onClick={() => setURL("/chat/b")} />
      <Button name="to none" onClick={() => setURL(null)} />
    </>
  );
}

export function Hidden(): ReactNode {
  const [isHidden, setHidden] = useState(false);
  return (
    <>
      <Activity mode={isHidden ? "hidden" : "visible"}>
        <Chat name="ann" url="/chat/a" />
      </Activity>
      <Button name="hide" onClick={() => setHidden(true)} />
      <Button name="show" onClick={() => setHidden(false)} />
    </>
  );
}

/** The same method, which calls `count` first. */
function counted<Method extends (...args: never) => unknown>(method: Method, count: () => void): Method {
  return new Proxy(method, {
    apply: (target, room, args) => {
      count();
      return Reflect.apply(target, room, args);
    },
  });
}

/** Counts how often listeners are added. */
export function Latest(): ReactNode {
  const { room, state } = useTestRoom("/chat/a", { clock });
  const [count, setCount] = useState(0);
  const [messages, setMessages] = useState("");
  const [events, setEvents] = useState("");
  const [added, setAdded] = useState(0);
  useEffect(() => {
    if (!room) return;
    room.on = counted(room.on, () => setAdded((last) => last + 1));
    room.onEvent = counted(room.onEvent, () => setAdded((last) => last + 1));
  }, [room]);
  useMessages(room, ({ data }) => setMessages(`${JSON.stringify(data)} at ${count}`));
  useEvent(room, "said", (text) => setEvents(`${text} at ${count}`));
  return (
    <>
      <p>
        {state}, count {count}, added {added}
      </p>
      <p>message: {messages}</p>
      <p>event: {events}</p>
      <Button name="count" onClick={() => setCount(count + 1)} />
      <Button name="say" onClick={() => room?.emit("say", "hello")} />
    </>
  );
}

/** The token is a new function in each render. */
export function Token(): ReactNode {
  const [count, setCount] = useState(1);
  const { state, detail, reconnect } = useRoom("/chat/a", { clock, random: () => 0.5, token: () => `token-${count}` });
  return (
    <>
      <p>
        {state} with {count}, status {detail.status ?? "none"}
      </p>
      <Button name="count" onClick={() => setCount(count + 1)} />
      <Button name="reconnect" onClick={reconnect} />
    </>
  );
}

function Holder({ token }: { readonly token: string }): ReactNode {
  const { state } = useRoom("/chat/a", { clock, random: () => 0.5, token: () => token });
  return (
    <p>
      {token} is {state}
    </p>
  );
}

/** Two components share a room, each with a token function of its own. */
export function Tokens(): ReactNode {
  return (
    <>
      <Holder token="first" />
      <Toggle name="second">
        <Holder token="second" />
      </Toggle>
    </>
  );
}

/** The token is a text, so each one is another client. */
export function TextToken(): ReactNode {
  const [token, setToken] = useState("ann");
  const { state } = useRoom("/chat/a", { clock, token });
  return (
    <>
      <p>
        {token} is {state}
      </p>
      <Button name="as bob" onClick={() => setToken("bob")} />
    </>
  );
}

let presenceRenders = 0;

function Users({ room }: { readonly room: Parameters<typeof usePresence>[0] }): ReactNode {
  const { count, users } = usePresence(room);
  presenceRenders += 1;
  return (
    <p>
      {count} users: {users.map(({ id }) => id).join(" ")}; rendered {presenceRenders}
    </p>
  );
}

export function Presence(): ReactNode {
  const { room } = useRoom("/chat/a", { clock, token: "ann" });
  const [heard, setHeard] = useState(0);
  useMessages(room, () => setHeard((count) => count + 1));
  return (
    <>
      <p>{heard} messages</p>
      <MemoUsers room={room} />
    </>
  );
}

const MemoUsers = memo(Users);

/** Loads the list when it is connected, and after each loss. */
export function Resync(): ReactNode {
  const { room, state } = useTestRoom("/chat/a", { clock, random: () => 0.5 });
  const [loaded, setLoaded] = useState<readonly string[]>([]);
  useResync(room, async (connected) => setLoaded(await connected.request("load")));
  return (
    <>
      <p>
        {state}: {loaded.join(" ")}
      </p>
      <Said name="ann" room={room} />
    </>
  );
}

/** Shows the error of its children. */
class Boundary extends Component<{ readonly children: ReactNode }> {
  override state = { message: "" };

  static getDerivedStateFromError(error: Error): { message: string } {
    return { message: `${error.name}: ${error.message}` };
  }

  override render(): ReactNode {
    return this.state.message || this.props.children;
  }
}

function Wrong({ url, options }: { readonly url: string; readonly options: object }): ReactNode {
  return useRoom(url, options).state;
}

export function Mistakes(): ReactNode {
  return (
    <>
      <Boundary>
        <Wrong url="ftp://example.com/" options={{}} />
      </Boundary>
      <Boundary>
        <Wrong url="/chat/a" options={{ lingerMS: 5 }} />
      </Boundary>
    </>
  );
}
