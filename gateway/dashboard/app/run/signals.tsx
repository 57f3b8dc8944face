import { useState } from "preact/hooks";
import type { Run } from "../../../client/types.ts";
import { fullTime } from "../format.ts";
import { gateway } from "../session.ts";
import { Confirm, parsed } from "../ui/dialog.tsx";
import { JsonField } from "../ui/parts.tsx";

/** What the run waits for that somebody may say here. */
export function Signals({ run }: { run: Run }) {
  const waiting = Object.entries(run.steps).filter(
    ([, step]) => step.status === "waiting" && step.waitingFor?.reason === "signal",
  );
  return (
    <>
      {waiting.map(([name, { waitingFor }]) => (
        <div key={name} class="notice">
          <p>
            <strong>{name}</strong> waits for a signal
            {waitingFor?.until === undefined ? "." : `, until ${fullTime(waitingFor.until)}.`}
          </p>
          <SignalButton run={run.id} name={name} />
        </div>
      ))}
    </>
  );
}

function SignalButton({ run, name }: { run: string; name: string }) {
  const [text, setText] = useState("{}");
  return (
    <Confirm
      label="Send the signal"
      needs="signals:write"
      title={`Signal ${name}`}
      verb="Send"
      onDo={async () => gateway.client.run(run).signal(name, text.trim() === "" ? null : parsed(text))}
    >
      <JsonField
        label="What it brings, as JSON"
        hint="The step checks it by its schema, and fails if it does not fit."
        rows={6}
        value={text}
        onChange={setText}
      />
    </Confirm>
  );
}
