import { useState } from "preact/hooks";
import type { Event, Run } from "../../../client/types.ts";
import { send } from "../ask.ts";
import { go, hrefOf } from "../router.ts";
import { gateway } from "../session.ts";
import { Confirm, parsed } from "../ui/dialog.tsx";
import { Field, JsonField } from "../ui/parts.tsx";

/** What may be done with a run, as it stands. */
export function RunActions({ run, events, onReplayed }: { run: Run; events: readonly Event[]; onReplayed(): void }) {
  if (run.endedAt === undefined)
    return run.undoing !== undefined ? null : (
      <Confirm
        label="Cancel"
        needs="runs:write"
        title="Cancel this run?"
        verb="Cancel the run"
        isDangerous
        onDo={() => gateway.client.run(run.id).cancel()}
      >
        <p>No further step starts. A handler at work is told to stop, and what has an undo is undone.</p>
      </Confirm>
    );
  const letter = run.status === "failed" ? letterOf(events) : undefined;
  return (
    <>
      {letter === undefined ? null : <Replay letter={letter} onReplayed={onReplayed} />}
      <Rerun run={run} />
    </>
  );
}

function letterOf(events: readonly Event[]): string | undefined {
  const last = events.findLast(({ type }) => type === "run.failed");
  return (last?.data as { deadLetter?: string } | undefined)?.deadLetter;
}

/** Lets a run go on from the step that failed. */
export function Replay({ letter, small = false, onReplayed }: { letter: string; small?: boolean; onReplayed(): void }) {
  const [text, setText] = useState("");
  return (
    <Confirm
      label="Replay"
      needs="dead-letters:write"
      small={small}
      title="Replay the step that failed?"
      verb="Replay"
      onDo={async () => {
        const body = text.trim() === "" ? {} : { input: parsed(text) };
        await send("POST", `/v1/dead-letters/${encodeURIComponent(letter)}/replay`, body);
        onReplayed();
      }}
    >
      <p>The run goes on from there, with its attempts counted anew.</p>
      <JsonField
        label="Another input for the step, as JSON"
        hint="Leave it empty to give it what it was given before."
        rows={4}
        value={text}
        onChange={setText}
      />
    </Confirm>
  );
}

function Rerun({ run }: { run: Run }) {
  const steps = Object.keys(run.steps);
  const [from, setFrom] = useState(steps[0] ?? "");
  const [text, setText] = useState("");
  const [newest, setNewest] = useState(false);
  return (
    <Confirm
      label="Run again"
      needs="runs:write"
      title="Run again from a step"
      verb="Start the new run"
      onDo={async () => {
        const input = text.trim() === "" ? {} : { input: parsed(text) };
        const body = { from, ...input, ...(newest && { newest }) };
        const { id } = await send<{ id: string }>("POST", `/v1/runs/${run.id}/rerun`, body);
        go(hrefOf("runs", id));
      }}
    >
      <p>A new run keeps what the steps before had come to, and its tags, priority and metadata.</p>
      <Field label="From the step">
        {(props) => (
          <select {...props} value={from} onChange={(event) => setFrom(event.currentTarget.value)}>
            {steps.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        )}
      </Field>
      <JsonField
        label="Another input, as JSON"
        hint="Leave it empty to keep what there was."
        rows={4}
        value={text}
        onChange={setText}
      />
      <label class="check">
        <input type="checkbox" checked={newest} onChange={(event) => setNewest(event.currentTarget.checked)} /> On the
        newest version of the workflow
      </label>
    </Confirm>
  );
}
