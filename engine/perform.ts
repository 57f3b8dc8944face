import type { Attempt } from "./attempt.ts";
import type { Batches } from "./batches.ts";
import { type BatchHandler, batchingOf } from "./batching.ts";
import { outcomeOfChild, startChild } from "./children.ts";
import { isToStart, isUndo } from "./entry.ts";
import { FatalError } from "./errors.ts";
import type { Inputs } from "./inputs.ts";
import { unlessAway, unlessFull } from "./inputs.ts";
import { Unwanted } from "./interrupted.ts";
import { CHUNK } from "./keys.ts";
import { limitKey } from "./limits.ts";
import { entryInput } from "./payload.ts";
import { validate } from "./schema.ts";
import { type Handler, type Signalled, type Step, sleepTime, type Work } from "./step.ts";
import type { LaneStore } from "./store/lane-store.ts";
import { Reply, type Store } from "./store.ts";
import type { Outcome } from "./transition.ts";
import { undo } from "./undo.ts";
import type { Values } from "./values.ts";

/** What performing a step takes. */
export interface Parts {
  store: Store;
  lanes: LaneStore;
  values: Values;
  inputs: Inputs;
  consumer: string;
  batches: Batches;
  handlers: Map<Step, Handler<unknown, unknown>>;
}

const LONGEST_LIST = 100_000;
/** So many characters of inputs travel in one call. */
const PUT_LIMIT = 1_048_576;

/** Does what it is a step's turn to do: it says what came of it, or throws what the handler threw. */
export async function perform(attempt: Attempt, parts: Parts): Promise<Outcome> {
  const { entry } = attempt;
  const { step, gate } = entry.stream;
  const { work } = step;
  if (isUndo(entry)) return undo(attempt, parts);
  if (gate === "passed") attempt.taken();
  else if (gate === "before" && isToStart(entry)) return toGate(attempt, parts);
  if (entry.item !== undefined) return performItem(attempt, parts, work, entry.item);
  if (entry.wake !== undefined) return wakened(attempt, parts, work, entry.wake);
  const given = parts.inputs.of(entry);
  const input = given instanceof Promise ? await given : given;
  if (gate !== "passed") {
    if (step.when !== undefined && !said("when", step.when(input))) return { kind: "skipped" };
    attempt.taken();
  }
  switch (work.kind) {
    case "task":
      return await handle(attempt, parts, input);
    case "map":
      return expand(attempt, parts, work, input);
    case "repeat":
      return { kind: "expanded", total: work.max, limit: 1, first: entryInput(await parts.inputs.stored(entry)) };
    case "sleep": {
      const time = sleepTime(work.until(input));
      if (time === undefined)
        throw new FatalError("A sleep takes from 0 ms to 366 days, or ends at a date.", { code: "bad_time" });
      return { kind: "parked", parking: { reason: "sleep", ...time } };
    }
    case "wait":
      return { kind: "parked", parking: { reason: "signal", timeoutMs: work.timeoutMs } };
    case "child":
      return startChild(attempt, parts, work.child, input);
  }
}

/** Finds out whose this call of the handler is, for the limits of its step. */
async function toGate({ entry }: Attempt, { inputs }: Parts): Promise<Outcome> {
  const { step } = entry.stream;
  const { item } = entry;
  const { work, when } = step;
  if (item === undefined) {
    const input = await inputs.of(entry);
    if (when !== undefined && !said("when", when(input))) return { kind: "skipped" };
    return { kind: "gated", key: await limitKey(step.limits!, input) };
  }
  const input = work.kind === "map" ? await inputs.element(entry, item) : await inputs.turn(entry, item);
  return { kind: "gated", key: await limitKey(step.limits!, input) };
}

/** What a step has waited for has come. */
async function wakened(attempt: Attempt, parts: Parts, work: Work, wake: string): Promise<Outcome> {
  const { entry } = attempt;
  const { values, inputs, store } = parts;
  const completed = async (value: unknown): Promise<Outcome> => ({
    kind: "completed",
    output: await values.put(entry, attempt.step, value),
  });
  if (work.kind === "sleep") return { kind: "completed", output: await inputs.stored(entry) };
  if (work.kind === "child") return outcomeOfChild(attempt, parts, work.child, work.onFailure);
  if (work.kind !== "wait") throw new FatalError(`A step of this kind is not woken by ${wake}.`);
  if (wake === "timeout") return completed({ timedOut: true } satisfies Signalled<unknown>);
  const [stored] = await unlessAway(store.readFields(entry.run, `signal:${attempt.step}`));
  if (stored == null) throw new FatalError("What the signal brought is gone.", { code: "value_lost" });
  const data = await fatal("invalid_signal", validate(work.schema, await values.get(entry.tenant, stored), "signal"));
  return completed(work.timeoutMs === undefined ? data : ({ timedOut: false, data } satisfies Signalled<unknown>));
}

async function performItem(attempt: Attempt, parts: Parts, work: Work, item: number): Promise<Outcome> {
  const { entry } = attempt;
  if (work.kind === "repeat") return turn(attempt, parts, work, item);
  if (work.kind !== "map") throw new FatalError("A step of this kind has no items.");
  if (work.child === undefined) return handle(attempt, parts, await parts.inputs.element(entry, item));
  if (entry.wake !== undefined) return outcomeOfChild(attempt, parts, work.child, "fail");
  return startChild(attempt, parts, work.child, await parts.inputs.element(entry, item));
}

async function turn(
  attempt: Attempt,
  parts: Parts,
  { until, max }: Work & { kind: "repeat" },
  item: number,
): Promise<Outcome> {
  const output = await call(attempt, parts, await parts.inputs.turn(attempt.entry, item));
  const last = said("until", until(output, item));
  if (!last && item + 1 >= max)
    throw new FatalError(`The loop was not done after ${max} turns.`, { code: "too_many_turns" });
  const stored = await parts.values.put(attempt.entry, attempt.step, output);
  return { kind: "completed", output: stored, turn: last ? "last" : "turn" };
}

/** What a condition says. A promise would always hold. */
function said(what: string, holds: unknown): boolean {
  if (holds instanceof Promise)
    throw new FatalError(`${what} must say so at once, not by a promise.`, { code: "async_condition" });
  return Boolean(holds);
}

async function handle(attempt: Attempt, parts: Parts, input: unknown): Promise<Outcome> {
  const output = await call(attempt, parts, input);
  const stored = parts.values.put(attempt.entry, attempt.step, output);
  return { kind: "completed", output: typeof stored === "string" ? stored : await stored };
}

async function call(attempt: Attempt, { handlers, batches }: Parts, input: unknown): Promise<unknown> {
  const { step } = attempt.entry.stream;
  let handler = handlers.get(step);
  if (handler === undefined) {
    handler = await step.load();
    handlers.set(step, handler);
  }
  if (attempt.aborted !== undefined) throw attempt.aborted;
  const batching = batchingOf(step);
  const output =
    batching === undefined
      ? await handler(input, attempt)
      : await batches.result(attempt, input, handler as unknown as BatchHandler<unknown, unknown>, batching);
  if (attempt.aborted !== undefined) throw attempt.aborted;
  return output;
}

/** Stores the elements of a map's list, and says how many there are. */
async function expand(
  { entry, step, signal }: Attempt,
  { store, values, consumer }: Parts,
  { over, limit }: Work & { kind: "map" },
  input: unknown,
): Promise<Outcome> {
  const list = over(input);
  if (!Array.isArray(list)) throw new FatalError("What a map goes over must be a list.", { code: "not_a_list" });
  if (list.length > LONGEST_LIST)
    throw new FatalError(`A map goes over ${LONGEST_LIST} elements at the most, not ${list.length}.`, {
      code: "list_too_long",
    });
  if (list.length === 0) return { kind: "completed", output: "[]" };
  let batch: string[] = [];
  let size = 0;
  const put = async (next: number) => {
    const reply = await unlessFull(signal, store.putItems(consumer, entry, next - batch.length, batch));
    if (reply !== Reply.Done) throw new Unwanted();
    batch = [];
    size = 0;
  };
  const chunks = Math.ceil(list.length / CHUNK);
  for (let chunk = 0; chunk < chunks; chunk += 1) {
    const stored = await values.put(entry, step, list.slice(chunk * CHUNK, (chunk + 1) * CHUNK));
    batch.push(stored);
    size += stored.length;
    if (size > PUT_LIMIT || batch.length === 100) await put(chunk + 1);
  }
  if (batch.length > 0) await put(chunks);
  return { kind: "expanded", total: list.length, limit, first: "" };
}

/** What cannot be right the next time either. */
export async function fatal<T>(code: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    throw new FatalError(cause instanceof Error ? cause.message : String(cause), { code, cause });
  }
}
