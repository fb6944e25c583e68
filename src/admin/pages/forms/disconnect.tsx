import { useState } from "preact/hooks";
import type { ActionResult, CloseCall, CloseTarget, ConnectionName } from "../../api.js";
import { announce } from "../data/announcements.js";
import { post } from "../data/calls.js";
import { ConfirmDialog } from "./dialog.js";
import { Field, Group, textOf } from "./field.js";
import { Reach } from "./messageForm.js";

interface DisconnectProps {
  readonly target: CloseTarget;
  /** Describes the target, such as `all connections of ann`. */
  readonly name: string;
  readonly label?: string;
  onDone?(): void;
}

/** A button that closes connections, after a question: with a code, for good, or with the request to come back. */
export function Disconnect({ target, name, label = "Disconnect…", onDone }: DisconnectProps) {
  const [isOpen, setIsOpen] = useState(false);
  const disconnect = async (form: FormData) => {
    await closeAs(textOf(form, "how"), target, form);
    announce(`Disconnected: ${name}.`);
    onDone?.();
  };
  const dialog = {
    title: "Disconnect?",
    confirm: "Disconnect",
    isDangerous: true,
    onConfirm: disconnect,
    onClose: () => setIsOpen(false),
  };
  return (
    <>
      <button
        type="button"
        class="danger"
        aria-label={`${label.replace("…", "")}: ${name}`}
        onClick={() => setIsOpen(true)}
      >
        {label}
      </button>
      {isOpen && (
        <ConfirmDialog {...dialog}>
          <p>
            <bdi>{name}</bdi>
          </p>
          {!("connection" in target) && <Reach to={target} />}
          <Ways isOne={"connection" in target} />
        </ConfirmDialog>
      )}
    </>
  );
}

/** The ways to disconnect. */
function Ways({ isOne }: { readonly isOne: boolean }) {
  const [way, setWay] = useState("close");
  const ways = [
    ["close", "Close with a code"],
    ["revoke", "Close for good (4501): the client does not come back"],
    ...(isOne ? [["cooperative", "Ask the client to reconnect, perhaps to another node"]] : []),
  ];
  return (
    <>
      <Group label="How">
        {ways.map(([value, text]) => (
          <label key={value} class="option">
            <input type="radio" name="how" value={value} checked={way === value} onChange={() => setWay(value ?? "")} />
            {text}
          </label>
        ))}
      </Group>
      {way === "close" && (
        <div class="row">
          <Field label="Code" name="code" value="1000" isNumber hint="1000, or 3000 to 4999" isRequired />
          <Field label="Reason" name="reason" hint="The client can read it" lengthMax={123} />
        </div>
      )}
    </>
  );
}

async function closeAs(way: string, target: CloseTarget, form: FormData): Promise<void> {
  if (way === "revoke") return void (await post<ActionResult>("revoke", target));
  const reason = textOf(form, "reason");
  const call: CloseCall =
    way === "cooperative"
      ? { ...target, cooperative: true }
      : { ...target, code: Number(textOf(form, "code")), ...(reason !== "" && { reason }) };
  await post<ActionResult>("close", call);
}

interface EvictProps {
  readonly room: string;
  readonly member: ConnectionName;
  readonly name: string;
  onDone(): void;
}

/** A button that removes a member from a room. It stays connected. */
export function Evict({ room, member, name, onDone }: EvictProps) {
  const [isOpen, setIsOpen] = useState(false);
  const evict = async (form: FormData) => {
    const reason = textOf(form, "reason");
    const { node, id } = member;
    await post<ActionResult>("evict", { room, connection: { node, id }, ...(reason !== "" && { reason }) });
    announce(`Removed from the room: ${name}.`);
    onDone();
  };
  const dialog = { title: "Remove from the room?", confirm: "Remove", isDangerous: true, onConfirm: evict };
  return (
    <>
      <button type="button" aria-label={`Remove: ${name}`} onClick={() => setIsOpen(true)}>
        Remove…
      </button>
      {isOpen && (
        <ConfirmDialog {...dialog} onClose={() => setIsOpen(false)}>
          <p>
            <bdi>{name}</bdi>
          </p>
          <Field label="Reason" name="reason" lengthMax={123} />
        </ConfirmDialog>
      )}
    </>
  );
}
