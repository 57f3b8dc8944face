import type { ErrorRecord, Event, Run, RunStatus, Step } from "./types.ts";

type Steps = Record<string, Step<unknown>>;
/** What the data of events may say, which only some of them do. */
type Said = Partial<Pick<Step<unknown>, "progress" | "message" | "error">>;

/** How a run stands after an event of itself. */
export function statusOf({ type }: Event): RunStatus {
  return type === "run.started" ? "running" : (type.slice("run.".length) as RunStatus);
}

/** What an event of a run itself, and of none of its steps, changes of it. One that goes on after its end has not ended. */
export function standingAfter<R extends { endedAt?: string; error?: ErrorRecord; status: RunStatus }>(
  run: R,
  event: Event,
): R {
  const { at, seq } = event;
  const status = statusOf(event);
  const { error } = (event.data ?? {}) as Said;
  const { endedAt: _, error: _before, ...rest } = run;
  const isEnd = status === "completed" || status === "failed" || status === "cancelled";
  return {
    ...rest,
    ...{ status, seq },
    ...(isEnd && { endedAt: at }),
    ...(status === "failed" && error !== undefined && { error }),
  } as unknown as R;
}

/** The run after an event. What a step or the run came to is in no event: it is read once the run has ended. */
export function afterEvent(run: Run, event: Event): Run {
  const { type, step, item, attempt, at, seq } = event;
  if (type.startsWith("run.")) return standingAfter(run, event);
  const verb = type.slice("step.".length);
  const data = (event.data ?? {}) as Said;
  if (step === undefined) return { ...run, seq };
  const steps = run.steps as Steps;
  const before: Step<unknown> = steps[step] ?? { status: "pending", attempt: 0 };
  // Of an item alone, which says nothing of its step but how far that is.
  const after = item === undefined || verb === "progress" ? stepAfter(before, verb, attempt, at, data) : before;
  return { ...run, seq, steps: { ...steps, [step]: after } as Run["steps"] };
}

function stepAfter(
  step: Step<unknown>,
  verb: string,
  attempt: number | undefined,
  at: string,
  { progress, message, error }: Said,
): Step<unknown> {
  const tried = attempt === undefined ? step : { ...step, attempt };
  switch (verb) {
    case "started": {
      const { waitingFor: _, ...rest } = tried;
      return { ...rest, status: "running", startedAt: step.startedAt ?? at };
    }
    case "progress":
      return { ...tried, ...(progress !== undefined && { progress }), ...(message !== undefined && { message }) };
    case "retrying":
      return { ...tried, status: "retrying", ...(error !== undefined && { error }) };
    case "completed":
    case "skipped":
      return { ...tried, status: verb, endedAt: at };
    case "failed":
      return { ...tried, status: "failed", endedAt: at, ...(error !== undefined && { error }) };
    default:
      return tried;
  }
}
