import type { Event, Run } from "../../../client/types.ts";
import { duration } from "../format.ts";
import { Empty } from "../ui/parts.tsx";
import type { GraphStep } from "./layout.ts";
import { type Span, spansOf } from "./spans.ts";

/** So many stretches of one step are drawn: of a map of thousands the first tell enough. */
const MOST_OF_STEP = 300;
const WAITS = new Set(["sleep", "wait", "child"]);

interface Props {
  events: readonly Event[];
  run: Run;
  steps: readonly GraphStep[];
  now: number;
}

/** When each step was at work, waited, or was to be tried again. */
export function Timeline({ events, run, steps, now }: Props) {
  const spans = spansOf(events, new Set(steps.filter(({ kind }) => WAITS.has(kind ?? "")).map(({ name }) => name)));
  if (spans.length === 0) return <Empty title="No step has begun yet." />;
  const from = Math.min(Date.parse(run.createdAt), spans[0]!.from);
  const last = Math.max(from + 1, ...spans.map(({ from, to }) => to ?? from));
  const to = run.endedAt === undefined ? Math.max(now, last) : Math.max(Date.parse(run.endedAt), last);
  const names = [...new Set([...Object.keys(run.steps), ...spans.map(({ step }) => step)])];
  const begun = names.filter((step) => spans.some((span) => span.step === step));
  const place = (span: Span) => ({
    left: `${(100 * (span.from - from)) / (to - from)}%`,
    width: `${Math.max(0.3, (100 * ((span.to ?? to) - span.from)) / (to - from))}%`,
  });
  return (
    <>
      <ul class="timeline">
        {begun.map((step) => {
          const own = spans.filter((span) => span.step === step);
          return (
            <li key={step}>
              <span class="step">{step}</span>
              <span class="lane">
                {own.slice(0, MOST_OF_STEP).map((span) => (
                  <span
                    key={`${span.from} ${span.item} ${span.attempt} ${span.kind}`}
                    class={`bar of-${span.kind} ended-${span.outcome ?? "not"}`}
                    style={place(span)}
                    title={wordsOf(span, to)}
                  />
                ))}
              </span>
              <span class="sum">{summary(own, to)}</span>
            </li>
          );
        })}
      </ul>
      <p class="axis" aria-hidden="true">
        <span>0</span>
        <span>{duration((to - from) / 2)}</span>
        <span>{duration(to - from)}</span>
      </p>
      <ul class="legend">
        <li class="of-attempt ended-completed">completed</li>
        <li class="of-attempt ended-failed">failed attempt</li>
        <li class="of-retry">until the next attempt</li>
        <li class="of-wait">waiting</li>
        <li class="of-attempt ended-not">at work</li>
      </ul>
    </>
  );
}

function wordsOf({ step, item, kind, attempt, outcome, from, to }: Span, now: number): string {
  const of = item === undefined ? step : `${step}, item ${item}`;
  const what =
    kind === "attempt" ? `attempt ${attempt ?? 1}` : kind === "retry" ? "waits for its next attempt" : "waits";
  return `${of}: ${what}, ${duration((to ?? now) - from)}${outcome === undefined ? "" : `, ${outcome}`}`;
}

function summary(spans: readonly Span[], now: number): string {
  const attempts = spans.filter(({ kind }) => kind === "attempt");
  const first = spans[0]!.from;
  const last = Math.max(...spans.map(({ to }) => to ?? now));
  const failed = attempts.filter(({ outcome }) => outcome === "failed").length;
  const tried = failed === 0 ? "" : `, ${failed} failed`;
  return `${duration(last - first)}${tried}`;
}
