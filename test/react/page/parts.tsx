import { type ReactNode, useState } from "react";
import type { ClientRoom } from "../../../src/client/index.js";
import { useEvent, useRoom } from "../../../src/react/index.js";
import { ManualClock } from "../../../src/testing/clock.js";
import type { ClientEvents, ServerEvents } from "./events.js";

/** The time of the page, which the test moves. */
export const clock = new ManualClock();

export type TestRoom = ClientRoom<ClientEvents, ServerEvents> | undefined;

/** Uses a room of the test's server. */
export const useTestRoom = useRoom<ClientEvents, ServerEvents>;

export function Button({ name, onClick }: { readonly name: string; readonly onClick: () => unknown }): ReactNode {
  return (
    <button type="button" onClick={onClick}>
      {name}
    </button>
  );
}

/** Mounts and unmounts its children. */
export function Toggle({ name, children }: { readonly name: string; readonly children: ReactNode }): ReactNode {
  const [isShown, setShown] = useState(true);
  return (
    <>
      <Button name={isShown ? `hide ${name}` : `show ${name}`} onClick={() => setShown(!isShown)} />
      {isShown && children}
    </>
  );
}

/** The events of a room, as they arrive. */
export function Said({ name, room }: { readonly name: string; readonly room: TestRoom }): ReactNode {
  const [texts, setTexts] = useState<readonly string[]>([]);
  useEvent(room, "said", (text) => setTexts((all) => [...all, text]));
  return (
    <p>
      {name} heard: [{texts.join(" ")}]
    </p>
  );
}

interface ChatProps {
  readonly name: string;
  readonly url: string | null;
  readonly user?: string;
}

/** A component with a room: its state, its events, and a button that sends one. */
export function Chat({ name, url, user }: ChatProps): ReactNode {
  const { room, state } = useTestRoom(url, { clock, key: user });
  return (
    <>
      <p>
        {name} is {state}
      </p>
      <Said name={name} room={room} />
      <Button name={`say as ${name}`} onClick={() => room?.emit("say", name)} />
    </>
  );
}
