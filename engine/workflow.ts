import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { BlobStore } from "./blobs/blob-store.ts";
import { DefinitionError } from "./errors.ts";
import type { Graph } from "./graph.ts";
import { NAME_PATTERN } from "./ids.ts";
import { type RetryPolicy, retryPolicy } from "./retry.ts";

/** What a handler is given beside its input. Valid until the handler's promise settles. */
export interface StepContext {
  readonly run: { readonly id: string; readonly workflow: string; readonly version: number; readonly tenant: string };
  readonly step: string;
  /** 1 for the first attempt; a worker that died counts as an attempt too. */
  readonly attempt: number;
  /** Aborted when the attempt's time is over, the run is cancelled, the lease is lost or the worker must stop. */
  readonly signal: AbortSignal;
  /** The same for every attempt of this step in this run. Hand it to services that take an Idempotency-Key. */
  readonly idempotencyKey: string;
  /** Different for every delivery, and never used again: for stores that refuse an older writer. */
  readonly fence: string;
  /** Documents and other large values. */
  readonly blobs: BlobStore;
  /** The settings that the worker was started with: its environment variables, in `millrace worker`. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: StepLog;
  /** Says how far the step is: `fraction` from 0 to 1. Coalesced to at most four events a second. */
  progress(fraction: number, message?: string): void;
  /** Sends a chunk of text, or any JSON value, to those who watch. Neighbouring chunks of text are joined. */
  emit(output: string | object): void;
}

export interface StepLog {
  debug(message: string, properties?: Record<string, unknown>): void;
  info(message: string, properties?: Record<string, unknown>): void;
  warn(message: string, properties?: Record<string, unknown>): void;
  error(message: string, properties?: Record<string, unknown>): void;
}

/** A step's work: its input in, its output out. Both must survive JSON. */
export type Handler<I, O> = (input: I, ctx: StepContext) => O | Promise<O>;

export interface StepSettings {
  /** How often and when the step is tried again after its handler failed. */
  retry?: Partial<RetryPolicy>;
  /** How long one attempt may take, in milliseconds. Default 5 minutes. */
  timeoutMs?: number;
  /** How many of this step one worker process runs at once. Default: the worker's own concurrency. */
  concurrency?: number;
  /** How many workers this step may take down with it before it goes to dead letters. Default 3. */
  crashes?: number;
}

/**
 * A handler; or a handler with settings; or where to find one. With `load`, a process that only starts and shows runs
 * never loads what the handler needs.
 */
export type StepDefinition<I, O> =
  | Handler<I, O>
  | (StepSettings & ({ run: Handler<I, O> } | { load: () => Promise<{ default: Handler<I, O> }> }));

/** A step as the engine sees it: types forgotten, settings complete. */
export interface Step {
  readonly name: string;
  readonly after: readonly string[];
  readonly load: () => Promise<Handler<unknown, unknown>>;
  readonly retry: RetryPolicy;
  readonly timeoutMs: number;
  readonly concurrency: number | undefined;
  readonly crashes: number;
}

/** A workflow with its types forgotten: what lists of workflows hold. */
export interface AnyWorkflow {
  readonly name: string;
  readonly version: number;
  readonly input: StandardSchemaV1;
  readonly steps: readonly Step[];
  readonly graph: Graph;
  /** How long its runs may take where their start does not say otherwise. */
  readonly deadlineMs?: number | undefined;
}

/**
 * A definition: a chain of named steps, each with the output of the one before it as its input.
 * Made by `workflow()`; every `step()` gives a new definition and leaves the old one as it was.
 */
export class Workflow<In, Last, Steps = Record<never, never>> implements AnyWorkflow {
  readonly name: string;
  readonly version: number;
  readonly input: StandardSchemaV1<unknown, In>;
  readonly steps: readonly Step[];
  readonly deadlineMs: number | undefined;
  /** The output of every step by its name. Only a type: there is no such value. */
  declare readonly outputs: Steps;
  /** The run's input and output. Only a type: there is no such value. */
  declare readonly types: { input: In; output: Last };

  constructor(
    name: string,
    version: number,
    input: StandardSchemaV1<unknown, In>,
    steps: readonly Step[],
    deadlineMs?: number,
  ) {
    this.name = name;
    this.version = version;
    this.input = input;
    this.steps = steps;
    this.deadlineMs = deadlineMs;
  }

  get graph(): Graph {
    return {
      workflow: this.name,
      version: this.version,
      steps: this.steps.map(({ name, after }) => ({ name, after })),
    };
  }

  /**
   * Adds a step after the last one.
   *
   * @throws DefinitionError for a name that is odd or taken, or settings that cannot work
   */
  step<const N extends string, O>(
    name: N,
    definition: StepDefinition<Last, O>,
  ): Workflow<In, Awaited<O>, Steps & Record<N, Awaited<O>>> {
    const where = `Step ${JSON.stringify(name)} of workflow ${JSON.stringify(this.name)}`;
    if (!NAME_PATTERN.test(name)) throw new DefinitionError(`${where}: a name is 1 to 48 of A-Z a-z 0-9 _ -`);
    if (this.steps.some((step) => step.name === name)) throw new DefinitionError(`${where}: the name is taken`);
    if (this.steps.length >= 100) throw new DefinitionError(`${where}: a workflow has 100 steps at the most`);
    const previous = this.steps[this.steps.length - 1];
    const step = makeStep(where, name, previous === undefined ? [] : [previous.name], definition);
    return new Workflow<In, Awaited<O>, Steps & Record<N, Awaited<O>>>(
      this.name,
      this.version,
      this.input,
      [...this.steps, step],
      this.deadlineMs,
    );
  }
}

/**
 * Starts a definition.
 *
 * @param name 1 to 48 of `A-Z a-z 0-9 _ -`
 * @param options `input`: a Standard Schema of what a run is started with (valibot, zod, arktype …);
 *   `version`: a whole number, raised whenever the steps change. Default 1. `deadlineMs`: how long a run may take, from when
 *   it can start to its end, or it fails with code `run_deadline`; a start may say otherwise. Default: any time.
 * @throws DefinitionError
 */
export function workflow<S extends StandardSchemaV1>(
  name: string,
  options: { input: S; version?: number; deadlineMs?: number },
): Workflow<StandardSchemaV1.InferOutput<S>, StandardSchemaV1.InferOutput<S>> {
  const { version = 1, deadlineMs } = options;
  if (!NAME_PATTERN.test(name))
    throw new DefinitionError(`Workflow ${JSON.stringify(name)}: a name is 1 to 48 of A-Z a-z 0-9 _ -`);
  if (!Number.isInteger(version) || version < 1 || version > 999_999)
    throw new DefinitionError(`Workflow ${JSON.stringify(name)}: version must be a whole number from 1 to 999999`);
  if (typeof options.input?.["~standard"]?.validate !== "function")
    throw new DefinitionError(`Workflow ${JSON.stringify(name)}: input must be a Standard Schema`);
  const longest = 31_536_000_000;
  if (deadlineMs !== undefined && !(Number.isInteger(deadlineMs) && deadlineMs >= 1 && deadlineMs <= longest))
    throw new DefinitionError(
      `Workflow ${JSON.stringify(name)}: deadlineMs must be a whole number from 1 to ${longest}, a year`,
    );
  const input = options.input as StandardSchemaV1<unknown, StandardSchemaV1.InferOutput<S>>;
  return new Workflow(name, version, input, [], deadlineMs);
}

function makeStep<I, O>(where: string, name: string, after: string[], definition: StepDefinition<I, O>): Step {
  const settings: StepSettings = typeof definition === "function" ? {} : definition;
  const { timeoutMs = 300_000, concurrency, crashes = 3 } = settings;
  if (!(timeoutMs > 0 && timeoutMs <= 86_400_000))
    throw new DefinitionError(`${where}: timeoutMs must be above 0 and at most a day`);
  if (concurrency !== undefined && !(Number.isInteger(concurrency) && concurrency >= 1))
    throw new DefinitionError(`${where}: concurrency must be a whole number, 1 or more`);
  if (!(Number.isInteger(crashes) && crashes >= 1))
    throw new DefinitionError(`${where}: crashes must be a whole number, 1 or more`);
  return {
    name,
    after,
    load: loader(where, definition),
    retry: retryPolicy(where, settings.retry),
    timeoutMs,
    concurrency,
    crashes,
  };
}

function loader<I, O>(where: string, definition: StepDefinition<I, O>): Step["load"] {
  const check = (handler: unknown): Handler<unknown, unknown> => {
    if (typeof handler !== "function") throw new DefinitionError(`${where}: no handler function was found`);
    return handler as Handler<unknown, unknown>;
  };
  if (typeof definition === "function") {
    const handler = check(definition);
    return async () => handler;
  }
  if ("run" in definition) {
    const handler = check(definition.run);
    return async () => handler;
  }
  if (typeof definition.load !== "function") throw new DefinitionError(`${where}: give a handler, run or load`);
  // A failed import is not kept: the next attempt tries it again.
  let loaded: Promise<Handler<unknown, unknown>> | undefined;
  return () => {
    loaded ??= definition.load().then(
      (module) => check(module.default),
      (error: unknown) => {
        loaded = undefined;
        throw error;
      },
    );
    return loaded;
  };
}
