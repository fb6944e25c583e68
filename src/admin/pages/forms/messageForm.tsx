import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { CountResult, SendCall, SendResult, SendTarget } from "../../api.js";
import { announce } from "../data/announcements.js";
import { post } from "../data/calls.js";
import { asCallError } from "../data/useGet.js";
import { formatCount, visible } from "../parts/format.js";
import { Missing } from "../parts/notices.js";
import { ConfirmDialog } from "./dialog.js";
import { Area, Choice, Field, textOf } from "./field.js";

type Message =
  | { kind: "json"; data: unknown }
  | { kind: "text"; data: string }
  | { kind: "event"; event: string; data?: unknown };

interface MessageFormProps {
  /** Returns where to send, from the fields of the form. */
  target(form: FormData): SendTarget;
  /** Describes the target, such as `the room /chat/a`. */
  describe(target: SendTarget): string;
  /** Asks before it sends, and says how many connections get it. */
  readonly asks: boolean;
  readonly children?: ComponentChildren;
}

const kinds = [
  ["json", "JSON"],
  ["text", "Text"],
  ["event", "Event"],
] as const;

const hints: Record<string, string> = {
  json: "Sent as the data of a system message with your name.",
  text: "Sent as it is, without your name.",
  event: "JSON, or empty. Sent as the data of a system message with your name.",
};

/** A message to clients. */
export function MessageForm({ target, describe, asks, children }: MessageFormProps) {
  const [kind, setKind] = useState<string>("json");
  const [problem, setProblem] = useState("");
  const [asked, setAsked] = useState<SendCall>();
  const send = async (call: SendCall) => {
    await post<SendResult>("send", call);
    announce(`Sent to ${describe(call.to)}.`);
  };
  const submit = async (form: FormData) => {
    try {
      const call: SendCall = { to: target(form), ...messageOf(form) };
      setProblem("");
      if (asks) setAsked(call);
      else await send(call);
    } catch (error) {
      setProblem(error instanceof SyntaxError ? "This is not JSON." : visible(asCallError(error).message));
    }
  };
  return (
    <>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          void submit(new FormData(event.currentTarget));
        }}
      >
        {children}
        <div class="row">
          <Choice label="Send as" name="kind" value={kind} options={kinds} onChoose={setKind} />
          {kind === "event" && <Field label="Event" name="event" isRequired />}
        </div>
        <Area label="Message" name="data" problem={problem} hint={hints[kind] ?? ""} />
        <div class="buttons">
          <button type="submit" class="primary">
            {asks ? "Send…" : "Send"}
          </button>
        </div>
      </form>
      {asked !== undefined && <AskDialog {...{ call: asked, send, describe, onClose: () => setAsked(undefined) }} />}
    </>
  );
}

interface AskProps {
  readonly call: SendCall;
  send(call: SendCall): Promise<void>;
  describe(target: SendTarget): string;
  onClose(): void;
}

function AskDialog({ call, send, describe, onClose }: AskProps) {
  return (
    <ConfirmDialog title="Send this message?" confirm="Send" onConfirm={() => send(call)} onClose={onClose}>
      <p>
        To <bdi>{visible(describe(call.to))}</bdi>.
      </p>
      <Reach to={call.to} />
    </ConfirmDialog>
  );
}

/** How many connections a message or a close reaches now. */
export function Reach({ to }: { readonly to: SendTarget }) {
  const { count, problem } = useCount(to);
  if (problem !== "") return <p class="problem">{visible(problem)}</p>;
  return (
    <>
      <p role="status" class="reach">
        {count === undefined ? "Counting…" : `It reaches ${formatCount(count.connections, "connection")}.`}
      </p>
      {count !== undefined && <Missing nodes={count.missing} />}
    </>
  );
}

function useCount(to: SendTarget): { count?: CountResult; problem: string } {
  const [state, setState] = useState<{ count?: CountResult; problem: string }>({ problem: "" });
  const key = JSON.stringify(to);
  useEffect(() => {
    let isShown = true;
    post<CountResult>("count", { to }).then(
      (count) => isShown && setState({ count, problem: "" }),
      (error: unknown) => isShown && setState({ problem: asCallError(error).message }),
    );
    return () => {
      isShown = false;
    };
  }, [key]);
  return state;
}

/** @throws SyntaxError when the data is not JSON. */
function messageOf(form: FormData): Message {
  const kind = textOf(form, "kind");
  const data = textOf(form, "data");
  if (kind === "text") return { kind, data };
  if (kind === "json") return { kind, data: JSON.parse(data) };
  const event = textOf(form, "event");
  return data.trim() === "" ? { kind: "event", event } : { kind: "event", event, data: JSON.parse(data) };
}
