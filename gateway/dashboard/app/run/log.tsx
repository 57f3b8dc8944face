import { useState } from "preact/hooks";
import type { Event } from "../../../client/types.ts";
import { clock, fullTime } from "../format.ts";
import { Empty } from "../ui/parts.tsx";
import { Scroll } from "../ui/scroll.tsx";

const SHOWN = 200;
const MORE = 1_000;

/** What has happened, the newest first. */
export function EventLog({ events }: { events: readonly Event[] }) {
  const [most, setMost] = useState(SHOWN);
  const [wanted, setWanted] = useState("");
  const fitting = wanted === "" ? events : events.filter((event) => textOf(event).includes(wanted.toLowerCase()));
  const shown = fitting.slice(-most).reverse();
  return (
    <>
      <form class="filters" aria-label="Filter the events" onSubmit={(event) => event.preventDefault()}>
        <label>
          Events with
          <input
            type="search"
            placeholder="a step, a type, a word"
            value={wanted}
            onInput={(event) => setWanted(event.currentTarget.value)}
          />
        </label>
        <span class="dim">
          {fitting.length} of {events.length}
        </span>
      </form>
      {shown.length === 0 ? <Empty title="There are no such events." /> : null}
      <Scroll class="scroll tall" label="All events">
        <ol class="log">
          {shown.map((event) => (
            <Entry key={event.seq} event={event} />
          ))}
        </ol>
      </Scroll>
      {fitting.length <= most ? null : (
        <button type="button" class="small" onClick={() => setMost(most + MORE)}>
          Show earlier events
        </button>
      )}
    </>
  );
}

function Entry({ event }: { event: Event }) {
  const { seq, at, type, step, item, attempt, data } = event;
  return (
    <li data-seq={seq}>
      <span class="seq">{seq}</span>
      <time dateTime={at} title={fullTime(at)}>
        {clock(at)}
      </time>
      <span class={`type is-${type.split(".")[1]}`}>{type}</span>
      <span class="what">
        {step === undefined ? null : <strong>{step}</strong>}
        {item === undefined ? null : ` item ${item}`}
        {attempt === undefined || attempt < 2 ? null : ` attempt ${attempt}`}
        {data === undefined ? null : <code> {cut(JSON.stringify(data))}</code>}
      </span>
    </li>
  );
}

function textOf({ type, step, data }: Event): string {
  return `${type} ${step ?? ""} ${JSON.stringify(data) ?? ""}`.toLowerCase();
}

function cut(text: string): string {
  return text.length <= 400 ? text : `${text.slice(0, 399)}…`;
}
