import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { asCallError } from "../data/useGet.js";
import { visible } from "../parts/format.js";

interface DialogProps {
  readonly title: string;
  readonly children: ComponentChildren;
  onClose(): void;
}

/** A modal dialog. The browser keeps the focus in it. Afterwards the focus is where it was before. */
export function Dialog({ title, children, onClose }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  // Not an effect, whose end may come after the next frame: until then, nothing would have the focus.
  useLayoutEffect(() => {
    const before = document.activeElement;
    const element = dialog.current;
    element?.showModal();
    return () => {
      // As long as it is open, the page behind cannot have the focus.
      element?.close();
      // The button that opened it may be on a row that no longer exists.
      const next = before?.isConnected ? before : document.querySelector("h1");
      if (next instanceof HTMLElement) next.focus();
    };
  }, []);
  const cancel = (event: Event) => {
    // The component closes it, by its removal.
    event.preventDefault();
    onClose();
  };
  return (
    <dialog ref={dialog} aria-labelledby="dialog-title" onCancel={cancel}>
      <h2 id="dialog-title">{title}</h2>
      {children}
    </dialog>
  );
}

interface ConfirmProps extends DialogProps {
  /** The label of the button that does it. */
  readonly confirm: string;
  readonly isDangerous?: boolean;
  readonly isReady?: boolean;
  /** Does it. The dialog closes when the promise resolves, and shows the error when it rejects. */
  onConfirm(form: FormData): Promise<unknown>;
}

/** A dialog that asks before it does something. */
export function ConfirmDialog(props: ConfirmProps) {
  const { title, confirm, isDangerous = false, isReady = true, onConfirm, onClose, children } = props;
  const [problem, setProblem] = useState("");
  const [isBusy, setIsBusy] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    if (!(event.currentTarget instanceof HTMLFormElement)) return;
    const form = new FormData(event.currentTarget);
    setIsBusy(true);
    try {
      await onConfirm(form);
      onClose();
    } catch (error) {
      setProblem(asCallError(error).message);
      setIsBusy(false);
    }
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form class="stack" onSubmit={submit}>
        {children}
        {problem !== "" && (
          <p class="problem" role="alert">
            {visible(problem)}
          </p>
        )}
        <div class="buttons">
          <button type="submit" class={isDangerous ? "danger" : "primary"} disabled={isBusy || !isReady}>
            {confirm}
          </button>
          <button type="button" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}
