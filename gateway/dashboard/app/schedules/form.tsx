import { useState } from "preact/hooks";
import { send, useAsked } from "../ask.ts";
import { Dialog, parsed } from "../ui/dialog.tsx";
import { Field, JsonField } from "../ui/parts.tsx";

const KINDS = { cron: "a cron expression", every: "every so many seconds", at: "once, at a time" } as const;
type Kind = keyof typeof KINDS;
const HINTS: Record<Kind, string> = {
  cron: "Such as 30 2 * * * for half past two each night.",
  every: "A number of seconds.",
  at: "Such as 2030-01-31T09:00:00Z.",
};

/** Makes a schedule, or replaces the one of that name. */
export function ScheduleForm({ onClose, onMade }: { onClose(): void; onMade(): void }) {
  const { data } = useAsked<{ data: { name: string }[] }>("/v1/workflows");
  const [name, setName] = useState("");
  const [chosen, setChosen] = useState<string>();
  const [kind, setKind] = useState<Kind>("cron");
  const [time, setTime] = useState("");
  const [zone, setZone] = useState(Intl.DateTimeFormat().resolvedOptions().timeZone);
  const [input, setInput] = useState("{}");
  const workflow = chosen ?? data?.data[0]?.name ?? "";
  const make = async () => {
    const when =
      kind === "cron"
        ? { cron: time, timeZone: zone }
        : kind === "every"
          ? { every: Number(time) * 1_000 }
          : { at: time };
    await send("PUT", `/v1/schedules/${encodeURIComponent(name)}`, { workflow, input: parsed(input), ...when });
    onMade();
  };
  return (
    <Dialog title="New schedule" verb="Save" onDo={make} onClose={onClose}>
      <Field label="Name" hint="A schedule that has it already is replaced.">
        {(props) => (
          <input {...props} type="text" required value={name} onInput={(event) => setName(event.currentTarget.value)} />
        )}
      </Field>
      <Field label="Workflow">
        {(props) => (
          <select {...props} value={workflow} onChange={(event) => setChosen(event.currentTarget.value)}>
            {data?.data.map((each) => (
              <option key={each.name}>{each.name}</option>
            ))}
          </select>
        )}
      </Field>
      <div class="pairs">
        <Field label="By">
          {(props) => (
            <select {...props} value={kind} onChange={(event) => setKind(event.currentTarget.value as Kind)}>
              {Object.entries(KINDS).map(([each, words]) => (
                <option key={each} value={each}>
                  {words}
                </option>
              ))}
            </select>
          )}
        </Field>
        <Field label="Times" hint={HINTS[kind]}>
          {(props) => (
            <input
              {...props}
              type="text"
              required
              value={time}
              onInput={(event) => setTime(event.currentTarget.value)}
            />
          )}
        </Field>
      </div>
      {kind !== "cron" ? null : (
        <Field label="Time zone">
          {(props) => (
            <input {...props} type="text" value={zone} onInput={(event) => setZone(event.currentTarget.value)} />
          )}
        </Field>
      )}
      <JsonField label="Input, as JSON" rows={4} value={input} onChange={setInput} />
    </Dialog>
  );
}
