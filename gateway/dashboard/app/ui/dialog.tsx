import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { Scope } from "../../../../engine/index.ts";
import { may } from "../session.ts";
import { Problem } from "./problem.tsx";

interface DialogProps {
  title: string;
  /** What the button that does it says. */
  verb: string;
  isDangerous?: boolean;
  children?: ComponentChildren;
  /** Closes if it resolves; what it rejects with is shown. */
  onDo(): Promise<void>;
  onClose(): void;
}

/** Asks before something is done. The browser keeps the focus in it, and gives it back. */
export function Dialog({ title, verb, isDangerous = false, children, onDo, onClose }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  const [error, setError] = useState<unknown>();
  const [isBusy, setBusy] = useState(false);
  useEffect(() => dialog.current!.showModal(), []);

  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await onDo();
      dialog.current?.close();
    } catch (thrown) {
      setError(thrown);
      setBusy(false);
    }
  }

  return (
    <dialog ref={dialog} aria-labelledby={heading} onClose={onClose}>
      <form onSubmit={submit}>
        <h2 id={heading}>{title}</h2>
        {children}
        <Problem error={error} />
        <div class="buttons">
          <button type="button" onClick={() => dialog.current!.close()}>
            Close
          </button>
          <button type="submit" class={isDangerous ? "danger" : "primary"} disabled={isBusy}>
            {isBusy ? "One moment…" : verb}
          </button>
        </div>
      </form>
    </dialog>
  );
}

interface ConfirmProps extends Omit<DialogProps, "onClose"> {
  label: string;
  /** Who may not do that is not offered it. */
  needs: Scope;
  small?: boolean;
  /** Told each time that it is opened. */
  onOpen?(): void;
}

/** A button that asks first. */
export function Confirm({ label, needs, small = false, onOpen, ...dialog }: ConfirmProps) {
  const [isOpen, setOpen] = useState(false);
  if (!may(needs)) return null;
  return (
    <>
      <button
        type="button"
        class={`${small ? "small" : ""} ${dialog.isDangerous === true ? "quiet-danger" : ""}`}
        onClick={() => {
          onOpen?.();
          setOpen(true);
        }}
      >
        {label}
      </button>
      {isOpen ? <Dialog {...dialog} onClose={() => setOpen(false)} /> : null}
    </>
  );
}

/** @throws Error for what is no JSON, in words */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`This is not JSON: ${(cause as Error).message}`, { cause });
  }
}
