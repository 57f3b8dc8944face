import type { ComponentChildren } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import { duration, fullTime, pretty, relative, short } from "../format.ts";
import { hrefOf } from "../router.ts";
import { Scroll } from "./scroll.tsx";

/** Another time every so many ms, for what is told relative to now. */
export function useNow(everyMs = 1_000): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

export function Time({ at, now }: { at: string | undefined; now: number }) {
  if (at === undefined) return <span class="dim">–</span>;
  return (
    <time dateTime={at} title={fullTime(at)}>
      {relative(at, now)}
    </time>
  );
}

/** How long something takes, or has taken. */
export function Took({ from, to, now }: { from: string | undefined; to?: string | undefined; now: number }) {
  if (from === undefined) return <span class="dim">–</span>;
  return <span>{duration((to === undefined ? now : Date.parse(to)) - Date.parse(from))}</span>;
}

export function RunLink({ id, whole = false }: { id: string; whole?: boolean }) {
  return (
    <a class="mono" href={hrefOf("runs", id)} title={id}>
      {whole ? id : short(id)}
    </a>
  );
}

/** The top of a page. */
export function Head({
  title,
  lead,
  children,
}: {
  title: ComponentChildren;
  lead?: ComponentChildren;
  children?: ComponentChildren;
}) {
  return (
    <header class="head">
      <div>
        <h1 tabIndex={-1}>{title}</h1>
        {lead === undefined ? null : <p class="lead">{lead}</p>}
      </div>
      {children === undefined ? null : <div class="actions">{children}</div>}
    </header>
  );
}

/** There is nothing, and what to do about it. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}

export function Loading() {
  return (
    <p class="loading" role="status">
      Loading…
    </p>
  );
}

/** A table that is wider than its place can be scrolled, by keyboard as well. */
export function Table({
  label,
  columns,
  children,
}: {
  label: string;
  columns: readonly string[];
  children: ComponentChildren;
}) {
  return (
    <Scroll label={label}>
      <table>
        <thead>
          <tr>
            {columns.map((name) => (
              <th scope="col" key={name}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </Scroll>
  );
}

interface FieldProps {
  label: string;
  hint?: string | undefined;
  children: (props: { id: string; "aria-describedby"?: string }) => ComponentChildren;
}

/** A named input. */
export function Field({ label, hint, children }: FieldProps) {
  const id = useId();
  const described = hint === undefined ? {} : { "aria-describedby": `${id}-hint` };
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, ...described })}
      {hint === undefined ? null : (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

interface JsonFieldProps {
  label: string;
  hint?: string;
  rows: number;
  value: string;
  onChange(text: string): void;
}

/** A named input for JSON. */
export function JsonField({ label, hint, rows, value, onChange }: JsonFieldProps) {
  return (
    <Field label={label} hint={hint}>
      {(props) => (
        <textarea
          {...props}
          rows={rows}
          spellcheck={false}
          value={value}
          onInput={(event) => onChange(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

/** A value as JSON, folded if it is long. */
export function Json({ value, label, open = false }: { value: unknown; label: string; open?: boolean }) {
  const text = pretty(value);
  if (value === undefined) return null;
  const block = (
    <Scroll class="code" label={label}>
      <pre>
        {text.length > 100_000 ? `${text.slice(0, 100_000)}\n… and ${text.length - 100_000} characters more` : text}
      </pre>
    </Scroll>
  );
  return (
    <details open={open || text.length < 600}>
      <summary>{label}</summary>
      {block}
    </details>
  );
}
