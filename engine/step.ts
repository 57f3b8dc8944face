import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Batching } from "./batching.ts";
import { DefinitionError } from "./errors.ts";
import type { GraphStep } from "./graph.ts";
import { type StepLimits, stepLimits } from "./limits.ts";
import { type RetryPolicy, retryPolicy } from "./retry.ts";
import type { StepContext } from "./step-context.ts";
import type { AnyWorkflow } from "./workflow.ts";

export type { CachedResult, StepContext, StepLog } from "./step-context.ts";

/** A step's work: its input in, its output out. Both must survive JSON. */
export type Handler<I, O> = (input: I, ctx: StepContext) => O | Promise<O>;

/** Takes back what a step has done, when its run fails or is cancelled. It is waited for; what it returns is not looked at. */
export type Undo<I, O> = (done: { input: I; output: O }, ctx: StepContext) => unknown;

/** How a step is tried, timed and scaled. */
export interface StepSettings {
  /** How often and when the step is tried again after its handler failed. */
  retry?: Partial<RetryPolicy>;
  /** How long one attempt may take, in milliseconds. Default 5 minutes. */
  timeoutMs?: number;
  /** How many of this step one worker process runs at once. Default: the worker's own concurrency. */
  concurrency?: number;
  /** How many workers this step may take down with it before it goes to dead letters. Default 3. */
  crashes?: number;
  /** How often and when its undo is tried again. Default: as the step. */
  undoRetry?: Partial<RetryPolicy>;
}

/**
 * A handler, or where to find one: with `load`, a process that only starts and shows runs never loads what it needs. With
 * it, or in the same module (`undo: true`), what takes back what the step has done.
 */
export type HandlerSource<I, O, U> =
  | { run: Handler<I, O>; undo?: U }
  | { load: () => Promise<{ default: Handler<I, O> }>; undo?: U }
  | { load: () => Promise<{ default: Handler<I, O>; undo: U }>; undo: true };

/** An output as whoever is given it finds it: JSON has null for nothing. */
export type Stored<O> = unknown extends O ? O : O extends void ? null : O;

/** Of a step without items: its undo is given what its handler was given, and what that came to. */
export type TaskSource<I, O> = HandlerSource<I, O, Undo<I, NoInfer<Stored<Awaited<O>>>>>;

/** Where a step stands in the graph. */
export interface Placing<A, I, C> {
  /** The steps that it comes after. Default: the one declared before it. Several make a join, whose input is an object. */
  after?: A;
  /** Looked at when it is the step's turn: if it is false, the step is skipped, and so is what only it leads to. */
  when?: (input: I) => C;
}

/** What an item, or a child run, came to, where its failure is collected and not passed up. */
export type Settled<O> =
  | { ok: true; output: O }
  | { ok: false; error: { name: string; message: string; code?: string } };

/** What a wait with a timeout came to. */
export type Signalled<T> = { timedOut: false; data: T } | { timedOut: true };

/** What is done with a failure further down: passed up, or given as a result. */
export type OnFailure = "fail" | "collect";

/** What a map goes over, and how. */
export interface MapSettings<I, E, F extends OnFailure> {
  /** The list. At most 100,000 elements. */
  over: (input: I) => readonly E[];
  /** How many elements of a run are at work at once: 1 to 1,000. Default 10, or as many as a batch takes. */
  limit?: number;
  /** `fail` (default): an item that fails for good fails the run. `collect`: its error is its result. */
  onItemFailure?: F;
}

export interface ChildWork {
  readonly workflow: AnyWorkflow;
  readonly input: (input: unknown) => unknown;
  /** Whether the child is cancelled with its parent, or left to itself. */
  readonly onCancel: "cancel" | "leave";
}

/** What a step does when it is its turn. */
export type Work =
  | { readonly kind: "task"; readonly batch?: Batching }
  | {
      readonly kind: "map";
      readonly over: (input: unknown) => unknown;
      readonly limit: number;
      readonly onItemFailure: OnFailure;
      /** Each item is a run of this workflow, and not a call of the handler. */
      readonly child?: ChildWork;
      readonly batch?: Batching;
    }
  | { readonly kind: "repeat"; readonly until: (output: unknown, turn: number) => boolean; readonly max: number }
  /** Milliseconds from now, or a time. */
  | { readonly kind: "sleep"; readonly until: (input: unknown) => unknown }
  | { readonly kind: "wait"; readonly schema: StandardSchemaV1; readonly timeoutMs: number | undefined }
  | { readonly kind: "child"; readonly child: ChildWork; readonly onFailure: OnFailure };

/** A step as the engine sees it: types forgotten, settings complete. */
export interface Step {
  readonly name: string;
  readonly after: readonly string[];
  readonly work: Work;
  readonly when: ((input: unknown) => boolean) | undefined;
  /** The handler of a task, an item or a turn. */
  readonly load: () => Promise<Handler<unknown, unknown>>;
  readonly retry: RetryPolicy;
  readonly timeoutMs: number;
  readonly concurrency: number | undefined;
  readonly crashes: number;
  readonly limits: StepLimits | undefined;
  readonly undo: { readonly load: () => Promise<Undo<unknown, unknown>>; readonly retry: RetryPolicy } | undefined;
}

/** What a step's graph says of it beside its place: nothing for a task without a condition or an undo. */
export function graphKind({ work, when, undo, limits }: Step): Pick<GraphStep, "kind" | "when" | "undo" | "limits"> {
  return {
    ...(work.kind === "task" ? {} : { kind: work.kind }),
    ...(when === undefined ? {} : { when: true }),
    ...(undo === undefined ? {} : { undo: true }),
    ...(limits === undefined ? {} : { limits: true }),
  };
}

type Source = Partial<Record<"run" | "load" | "undo", unknown>>;
type Anything = StepSettings & Placing<readonly string[], unknown, unknown> & Source;

/**
 * Makes a step of what a definition says of it.
 *
 * @throws DefinitionError for settings that cannot work
 */
export function makeStep(where: string, name: string, after: readonly string[], work: Work, definition: unknown): Step {
  const settings = (typeof definition === "function" ? { run: definition } : (definition ?? {})) as Anything;
  const { concurrency, crashes = 3, when } = settings;
  // A wait's own timeout is how long it waits, not how long an attempt may take.
  const timeoutMs = work.kind === "wait" ? 300_000 : (settings.timeoutMs ?? 300_000);
  const refuse = (what: string): never => {
    throw new DefinitionError(`${where}: ${what}`);
  };
  if (!(timeoutMs > 0 && timeoutMs <= 86_400_000)) refuse("timeoutMs must be above 0 and at most a day");
  if (concurrency !== undefined && !isWhole(concurrency, 1)) refuse("concurrency must be a whole number, 1 or more");
  if (!isWhole(crashes, 1)) refuse("crashes must be a whole number, 1 or more");
  if (when !== undefined && typeof when !== "function") refuse("when must be a function");
  const given = (settings as { limits?: unknown }).limits;
  if (given !== undefined && !hasHandler(work)) refuse("limits go with a step that has a handler");
  const retry = retryPolicy(where, settings.retry);
  const sources = once(settings);
  return {
    ...{ name, after, work, timeoutMs, concurrency, crashes, retry },
    limits: given === undefined ? undefined : stepLimits(where, given),
    when: when as Step["when"],
    load: hasHandler(work)
      ? loader(where, sources, "run")
      : () => Promise.reject(new DefinitionError(`${where}: no handler`)),
    undo: undoOf(where, work, sources, retry),
  };
}

/** The workflow that a step starts, and how. @throws DefinitionError */
export function childWork(where: string, definition: object): ChildWork {
  const { workflow, input, onCancel = "cancel" } = definition as Partial<ChildWork>;
  if (!Array.isArray(workflow?.steps)) throw new DefinitionError(`${where}: workflow must be a definition`);
  if (typeof input !== "function") throw new DefinitionError(`${where}: input must be a function`);
  if (onCancel !== "cancel" && onCancel !== "leave")
    throw new DefinitionError(`${where}: onCancel must be "cancel" or "leave"`);
  return { workflow: workflow as AnyWorkflow, input, onCancel };
}

export function checkFailure(where: string, what: string, value: unknown): void {
  if (value !== "fail" && value !== "collect")
    throw new DefinitionError(`${where}: ${what} must be "fail" or "collect"`);
}

export function checkSchema(where: string, what: string, schema: unknown): void {
  const standard = (schema as Partial<StandardSchemaV1> | undefined)?.["~standard"];
  if (typeof standard?.validate !== "function")
    throw new DefinitionError(`${where}: ${what} must be a Standard Schema`);
}

/** A sleep's length in ms, or when it is over. */
export type SleepTime = { delayMs: number } | { at_ms: number };

export const LONGEST_SLEEP_MS = 366 * 86_400_000;

/** What Date.parse reads besides differs from runtime to runtime; a time without a zone, from machine to machine. */
const ISO_TIME = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/;

/** Reads milliseconds up to a year, a Date or an ISO 8601 date, or time with its zone; undefined if it is none of those. */
export function sleepTime(value: unknown): SleepTime | undefined {
  if (typeof value === "number")
    return value >= 0 && value <= LONGEST_SLEEP_MS ? { delayMs: Math.round(value) } : undefined;
  const isText = typeof value === "string" && ISO_TIME.test(value);
  const at_ms = value instanceof Date ? value.getTime() : isText ? Date.parse(value) : Number.NaN;
  return Number.isFinite(at_ms) && at_ms >= 0 ? { at_ms } : undefined;
}

export function checkSleep(where: string, value: unknown): void {
  if (sleepTime(value) === undefined)
    throw new DefinitionError(
      `${where}: a time is from 0 ms to 366 days, a Date, or ISO 8601 with its zone, not ${String(value)}`,
    );
}

export function isWhole(value: unknown, from: number, to = Number.POSITIVE_INFINITY): boolean {
  return Number.isInteger(value) && (value as number) >= from && (value as number) <= to;
}

/** Whether a step calls a handler of its own. */
export function hasHandler(work: Work): boolean {
  return work.kind === "task" || work.kind === "repeat" || (work.kind === "map" && work.child === undefined);
}

/** What takes back what a step has done, and how often that is tried. @throws DefinitionError */
function undoOf(where: string, { kind }: Work, settings: Anything, retry: RetryPolicy): Step["undo"] {
  const { undo, undoRetry } = settings;
  const refuse = (what: string): never => {
    throw new DefinitionError(`${where}: ${what}`);
  };
  if (undo === undefined) return undoRetry === undefined ? undefined : refuse("undoRetry is for a step with an undo");
  if (kind === "sleep" || kind === "wait") refuse("a step that only waits has nothing to undo");
  if (undo === true && typeof settings.load !== "function") refuse("undo: true is for a module that load finds");
  const load = loader(where, undo === true ? { load: settings.load } : { run: undo }, "undo");
  return {
    load: load as () => Promise<Undo<unknown, unknown>>,
    retry: retryPolicy(where, { ...retry, ...undoRetry }, "undoRetry"),
  };
}

/** Where a step's functions are, its module loaded once for all of them. A failed import is not kept. */
function once(settings: Anything): Anything {
  if (typeof settings.load !== "function") return settings;
  const load = settings.load as () => Promise<unknown>;
  let loaded: Promise<unknown> | undefined;
  const loadOnce = () => {
    loaded ??= load().catch((error: unknown) => {
      loaded = undefined;
      throw error;
    });
    return loaded;
  };
  return { ...settings, load: loadOnce };
}

/** The handler of a step, or what undoes it: a function at hand, or one of its module. */
function loader(where: string, source: Source, what: "run" | "undo"): Step["load"] {
  const check = (found: unknown): Handler<unknown, unknown> => {
    if (typeof found === "function") return found as Handler<unknown, unknown>;
    throw new DefinitionError(`${where}: no ${what === "run" ? "handler" : "undo"} function was found`);
  };
  if ("run" in source && "load" in source) throw new DefinitionError(`${where}: give run or load, not both`);
  if ("run" in source) {
    const found = check(source.run);
    return async () => found;
  }
  if (typeof source.load !== "function") throw new DefinitionError(`${where}: give a handler, run or load`);
  const load = source.load as () => Promise<{ default: unknown; undo?: unknown }>;
  return async () => {
    const module = await load();
    return check(what === "run" ? module.default : module.undo);
  };
}
