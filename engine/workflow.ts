import type { StandardSchemaV1 } from "@standard-schema/spec";
import { type BatchHandlerSource, type Batching, checkBatching } from "./batching.ts";
import { DefinitionError } from "./errors.ts";
import { checkGraph, checkName, type Graph } from "./graph.ts";
import type { Limited } from "./limits.ts";
import { type RetentionPolicy, type RetentionSettings, retentionPolicy } from "./retention-policy.ts";
import {
  checkFailure,
  checkSchema,
  checkSleep,
  childWork,
  graphKind,
  type Handler,
  type HandlerSource,
  isWhole,
  LONGEST_SLEEP_MS,
  type MapSettings,
  makeStep,
  type OnFailure,
  type Placing,
  type Settled,
  type Signalled,
  type Step,
  type StepSettings,
  type Stored,
  type TaskSource,
  type Undo,
  type Work,
} from "./step.ts";
import { type Budget, definedBudget } from "./usage.ts";
import type {
  AfterLast,
  BatchOutput,
  Callable,
  ChildOutput,
  HandlerOf,
  InputAfter,
  ItemHandlerOf,
  MapOutput,
  MayBeSkipped,
  Output,
  Simplify,
} from "./workflow-types.ts";

/** A year. */
const LONGEST_DEADLINE_MS = 31_536_000_000;

/** What holds for every run of a workflow. */
export interface WorkflowSettings {
  readonly retention: RetentionPolicy;
  /** How long its runs may take where their start does not say otherwise. */
  readonly deadlineMs: number | undefined;
  /** How much a run may use where its start does not say otherwise. */
  readonly budget: Budget | undefined;
  /** What its runs are spread over the partitions by, from their input as JSON holds it. */
  readonly partitionBy: ((input: unknown) => unknown) | undefined;
}

/** A workflow with its types forgotten: what lists of workflows hold. */
export interface AnyWorkflow {
  readonly name: string;
  readonly version: number;
  readonly input: StandardSchemaV1;
  readonly steps: readonly Step[];
  readonly graph: Graph;
  readonly settings: WorkflowSettings;
}

/**
 * A definition: a graph of named steps. Made by `workflow()`; every method gives a new definition and leaves the old one as
 * it was. A step comes after the one declared before it, or after those that its `after` names; it is given the output of
 * the one step that it comes after, an object of outputs by name where there are several, and the run's input where there
 * is none. The run's output is that of the step that nothing comes after, or an object where there are several.
 *
 * Type parameters: the run's input, each step's output by name, the last step's name, the names that nothing comes after
 * yet, the names that may be skipped, what the handlers take and give, and what its schema makes the run's input of.
 */
export class Workflow<
  In,
  Steps = Record<never, never>,
  Last extends string = never,
  Ends extends string = never,
  Maybe extends string = never,
  Handlers = Record<never, never>,
  Given = In,
> implements Callable
{
  readonly name: string;
  readonly version: number;
  readonly input: StandardSchemaV1<unknown, In>;
  readonly steps: readonly Step[];
  readonly graph: Graph;
  readonly settings: WorkflowSettings;
  /** The output of every step by its name. Only a type: there is no such value. */
  declare readonly outputs: Steps;
  /** What the handler of every step that has one takes and gives. Only a type: there is no such value. */
  declare readonly handlers: Handlers;
  /** What a run is started with, its input and its output. Only a type: there is no such value. */
  declare readonly types: { given: Given; input: In; output: Output<In, Steps, Ends, Maybe> };

  constructor(
    name: string,
    version: number,
    input: StandardSchemaV1<unknown, In>,
    steps: readonly Step[],
    settings: WorkflowSettings,
  ) {
    this.name = name;
    this.version = version;
    this.input = input;
    this.steps = steps;
    this.settings = settings;
    this.graph = {
      workflow: name,
      version,
      steps: steps.map((step) => ({ name: step.name, after: step.after, ...graphKind(step) })),
    };
    checkGraph(this.graph);
  }

  /**
   * Adds a step that runs a handler.
   *
   * @throws DefinitionError for a name that is odd or taken, a step that it cannot come after, or settings that cannot work
   */
  step<
    const N extends string,
    O,
    const A extends readonly (keyof Steps & string)[] = AfterLast<Steps, Last>,
    C extends boolean | undefined = undefined,
  >(
    name: N,
    definition:
      | Handler<InputAfter<In, Steps, Maybe, A>, O>
      | (StepSettings &
          Limited<InputAfter<In, Steps, Maybe, A>> &
          Placing<A, InputAfter<In, Steps, Maybe, A>, C> &
          TaskSource<InputAfter<In, Steps, Maybe, A>, O>),
  ): Added<
    In,
    Steps,
    Ends,
    Maybe,
    Handlers,
    Given,
    N,
    Awaited<O>,
    A,
    C,
    HandlerOf<N, InputAfter<In, Steps, Maybe, A>, O>
  > {
    return this.#add(name, { kind: "task" }, definition);
  }

  /**
   * Adds a step that runs its handler once for many runs: for `size` of them, or for those that have come within `waitMs` of
   * the first. Each keeps its own attempt, context, retries and dead letter. Its output is the result at its place.
   *
   * @throws DefinitionError
   */
  batch<
    const N extends string,
    R,
    const A extends readonly (keyof Steps & string)[] = AfterLast<Steps, Last>,
    C extends boolean | undefined = undefined,
  >(
    name: N,
    definition: StepSettings &
      Placing<A, InputAfter<In, Steps, Maybe, A>, C> &
      Batching &
      BatchHandlerSource<InputAfter<In, Steps, Maybe, A>, R>,
  ): Added<
    In,
    Steps,
    Ends,
    Maybe,
    Handlers,
    Given,
    N,
    BatchOutput<R>,
    A,
    C,
    HandlerOf<N, InputAfter<In, Steps, Maybe, A>, BatchOutput<R>>
  > {
    const batch = checkBatching(this.#where(name), definition, definition);
    return this.#add(name, { kind: "task", batch }, definition);
  }

  /**
   * As `map` below, with a handler that takes elements of this and of other runs together, as a `batch` step does.
   *
   * @throws DefinitionError
   */
  map<
    const N extends string,
    E,
    O,
    F extends OnFailure = "fail",
    const A extends readonly (keyof Steps & string)[] = AfterLast<Steps, Last>,
    C extends boolean | undefined = undefined,
  >(
    name: N,
    definition: StepSettings &
      Placing<A, InputAfter<In, Steps, Maybe, A>, C> &
      MapSettings<InputAfter<In, Steps, Maybe, A>, E, F> &
      BatchHandlerSource<E, O> & { batch: Batching },
  ): Added<
    In,
    Steps,
    Ends,
    Maybe,
    Handlers,
    Given,
    N,
    (F extends "collect" ? Settled<Stored<BatchOutput<O>>> : Stored<BatchOutput<O>>)[],
    A,
    C,
    HandlerOf<N, E, BatchOutput<O>>
  >;
  /**
   * Adds a step that runs its handler, or a run of another workflow, for each element of a list: up to `limit` at once
   * (default 10, at most 1,000). Its output has a result per element, in order.
   *
   * @throws DefinitionError
   */
  map<
    const N extends string,
    E,
    O,
    W extends Callable,
    F extends OnFailure = "fail",
    const A extends readonly (keyof Steps & string)[] = AfterLast<Steps, Last>,
    C extends boolean | undefined = undefined,
  >(
    name: N,
    definition: StepSettings &
      Placing<A, InputAfter<In, Steps, Maybe, A>, C> &
      MapSettings<InputAfter<In, Steps, Maybe, A>, E, F> &
      (
        | (HandlerSource<E, O, Undo<InputAfter<In, Steps, Maybe, A>, NoInfer<MapOutput<F, O, W>>>> & Limited<E>)
        | {
            workflow: W;
            input: (element: E) => W["types"]["given"];
            undo?: Undo<InputAfter<In, Steps, Maybe, A>, NoInfer<MapOutput<F, O, W>>>;
          }
      ) & { batch?: undefined },
  ): Added<In, Steps, Ends, Maybe, Handlers, Given, N, MapOutput<F, O, W>, A, C, ItemHandlerOf<N, E, O, W>>;
  map(name: string, definition: object): unknown {
    const where = this.#where(name);
    const settings = settingsOf(where, definition) as StepSettings &
      MapSettings<unknown, unknown, OnFailure> & { batch?: Batching };
    const batch = settings.batch && checkBatching(where, settings.batch, settings);
    const { over, limit = Math.max(10, batch?.size ?? 0), onItemFailure = "fail" } = settings;
    if (typeof over !== "function") throw new DefinitionError(`${where}: over must be a function that gives a list`);
    if (!isWhole(limit, 1, 1_000)) throw new DefinitionError(`${where}: limit must be a whole number from 1 to 1000`);
    checkFailure(where, "onItemFailure", onItemFailure);
    if ("workflow" in definition && ("run" in definition || "load" in definition))
      throw new DefinitionError(`${where}: give a handler or a workflow, not both`);
    const child = "workflow" in definition ? { child: childWork(where, definition) } : {};
    const work: Work = { kind: "map", over, limit, onItemFailure, ...child, ...(batch && { batch }) };
    return this.#add(name, work, definition);
  }

  /**
   * Adds a step that runs its handler again and again, each turn with the last one's output, until `until` says so. More
   * than `max` turns fail the step with code `too_many_turns`. Its output is that of the last turn.
   *
   * @throws DefinitionError
   */
  repeat<
    const N extends string,
    O extends InputAfter<In, Steps, Maybe, A>,
    const A extends readonly (keyof Steps & string)[] = AfterLast<Steps, Last>,
    C extends boolean | undefined = undefined,
  >(
    name: N,
    definition: StepSettings &
      Limited<InputAfter<In, Steps, Maybe, A>> &
      Placing<A, InputAfter<In, Steps, Maybe, A>, C> &
      HandlerSource<InputAfter<In, Steps, Maybe, A>, O, Undo<InputAfter<In, Steps, Maybe, A>, NoInfer<Awaited<O>>>> & {
        /** Whether a turn was the last. Turns count from 0. */
        until: (output: NoInfer<Awaited<O>>, turn: number) => boolean;
        /** 1 to 10,000. */
        max: number;
      },
  ): Added<
    In,
    Steps,
    Ends,
    Maybe,
    Handlers,
    Given,
    N,
    Awaited<O>,
    A,
    C,
    HandlerOf<N, InputAfter<In, Steps, Maybe, A>, O>
  > {
    const where = this.#where(name);
    const { until, max } = settingsOf(where, definition);
    if (typeof until !== "function") throw new DefinitionError(`${where}: until must be a function`);
    if (!isWhole(max, 1, 10_000)) throw new DefinitionError(`${where}: max must be a whole number from 1 to 10000`);
    return this.#add(name, { kind: "repeat", until: until as (output: unknown) => boolean, max }, definition);
  }

  /**
   * Adds a step that waits for a time, with no worker held: `for` milliseconds, or `until` a time; either may be computed
   * from the input. Its output is its input.
   *
   * @throws DefinitionError
   */
  sleep<
    const N extends string,
    const A extends readonly (keyof Steps & string)[] = AfterLast<Steps, Last>,
    C extends boolean | undefined = undefined,
  >(
    name: N,
    definition:
      | number
      | (Placing<A, InputAfter<In, Steps, Maybe, A>, C> &
          (
            | { for: number | ((input: InputAfter<In, Steps, Maybe, A>) => number) }
            | { until: Date | string | ((input: InputAfter<In, Steps, Maybe, A>) => Date | string) }
          )),
  ): Added<In, Steps, Ends, Maybe, Handlers, Given, N, InputAfter<In, Steps, Maybe, A>, A, C> {
    const where = this.#where(name);
    const settings = typeof definition === "number" ? { for: definition } : settingsOf(where, definition);
    if ("for" in settings === "until" in settings) throw new DefinitionError(`${where}: give for or until`);
    const given: unknown = "for" in settings ? settings.for : settings.until;
    const until = typeof given === "function" ? (given as (input: unknown) => unknown) : () => given;
    if (typeof given !== "function") checkSleep(where, given);
    return this.#add(name, { kind: "sleep", until }, settings);
  }

  /**
   * Adds a step that waits for a signal of its name (`runs.signal`). Its output is what the signal brought, checked against
   * the schema; with a `timeoutMs`, that or `{timedOut: true}`.
   *
   * @throws DefinitionError
   */
  waitFor<
    const N extends string,
    S extends StandardSchemaV1,
    T extends number | undefined = undefined,
    const A extends readonly (keyof Steps & string)[] = AfterLast<Steps, Last>,
    C extends boolean | undefined = undefined,
  >(
    name: N,
    definition: Placing<A, InputAfter<In, Steps, Maybe, A>, C> & { schema: S; timeoutMs?: T },
  ): Added<
    In,
    Steps,
    Ends,
    Maybe,
    Handlers,
    Given,
    N,
    T extends number ? Signalled<StandardSchemaV1.InferOutput<S>> : StandardSchemaV1.InferOutput<S>,
    A,
    C
  > {
    const where = this.#where(name);
    const { schema, timeoutMs } = settingsOf(where, definition);
    checkSchema(where, "schema", schema);
    if (timeoutMs !== undefined && !isWhole(timeoutMs, 1, LONGEST_SLEEP_MS))
      throw new DefinitionError(`${where}: timeoutMs must be a whole number of ms, from 1 to 366 days`);
    return this.#add(name, { kind: "wait", schema, timeoutMs }, definition);
  }

  /**
   * Adds a step that starts a run of another workflow and waits for it. Its output is that run's; with `onFailure:
   * "collect"`, that or its error.
   *
   * @throws DefinitionError
   */
  child<
    const N extends string,
    W extends Callable,
    F extends OnFailure = "fail",
    const A extends readonly (keyof Steps & string)[] = AfterLast<Steps, Last>,
    C extends boolean | undefined = undefined,
  >(
    name: N,
    definition: Placing<A, InputAfter<In, Steps, Maybe, A>, C> & {
      workflow: W;
      input: (input: InputAfter<In, Steps, Maybe, A>) => W["types"]["given"];
      /** `fail` (default): a child that fails or is cancelled fails this step. `collect`: its error is the result. */
      onFailure?: F;
      /** `cancel` (default): a child ends with its parent. `leave`: it goes on by itself. */
      onCancel?: "cancel" | "leave";
      /** Takes back what the child has done once it is complete; nothing else does. */
      undo?: Undo<InputAfter<In, Steps, Maybe, A>, NoInfer<ChildOutput<F, W>>>;
      undoRetry?: StepSettings["undoRetry"];
    },
  ): Added<In, Steps, Ends, Maybe, Handlers, Given, N, ChildOutput<F, W>, A, C> {
    const where = this.#where(name);
    const { onFailure = "fail" } = settingsOf(where, definition);
    checkFailure(where, "onFailure", onFailure);
    return this.#add(name, { kind: "child", child: childWork(where, definition), onFailure }, definition);
  }

  #where(name: string): string {
    return `Step ${JSON.stringify(name)} of workflow ${JSON.stringify(this.name)}`;
  }

  #add(name: string, work: Work, definition: unknown): never {
    const where = this.#where(name);
    checkName(where, name);
    if (this.steps.some((step) => step.name === name)) throw new DefinitionError(`${where}: the name is taken`);
    if (this.steps.length >= 100) throw new DefinitionError(`${where}: a workflow has 100 steps at the most`);
    const last = this.steps.at(-1);
    const { after = last === undefined ? [] : [last.name] } = (definition ?? {}) as { after?: readonly string[] };
    if (!Array.isArray(after)) throw new DefinitionError(`${where}: after must be a list of names`);
    const step = makeStep(where, name, after, work, definition);
    return new Workflow(this.name, this.version, this.input, [...this.steps, step], this.settings) as never;
  }
}

function settingsOf<D>(where: string, definition: D): D {
  if (typeof definition !== "object" || definition === null) throw new DefinitionError(`${where}: give its settings`);
  return definition;
}

/** The definition with one step more. */
type Added<
  In,
  Steps,
  Ends extends string,
  Maybe extends string,
  Handlers,
  Given,
  N extends string,
  O,
  A extends readonly string[],
  C,
  H = Record<never, never>,
> = Workflow<
  In,
  Simplify<Steps & Record<N, Stored<O>>>,
  N,
  Exclude<Ends, A[number]> | N,
  Maybe | MayBeSkipped<N, A, C, Maybe>,
  Simplify<Handlers & H>,
  Given
>;

/**
 * Starts a definition.
 *
 * @param name 1 to 48 of `A-Z a-z 0-9 _ -`
 * @param options `input`: a Standard Schema of what a run is started with (valibot, zod, arktype …);
 *   `version`: a whole number, raised whenever the steps change. Default 1. `deadlineMs`: how long a run may take, from when
 *   it can start to its end, or it fails with code `run_deadline`; a start may say otherwise. Default: any
 *   time. `budget`: how much it may use, by what its handlers say with `ctx.usage`, or it fails with code
 *   `budget_exceeded`; a start may say otherwise. Default: any. `retention`: how long ended runs are kept. `partitionBy`: what
 *   keeps runs in one partition of a Redis Cluster, by the run's input, such as `(input) => input.userId`; limits by a key
 *   need it to be that key. Default: runs are spread at random.
 * @throws DefinitionError
 */
export function workflow<S extends StandardSchemaV1>(
  name: string,
  options: {
    input: S;
    version?: number;
    deadlineMs?: number;
    budget?: Budget;
    retention?: RetentionSettings;
    partitionBy?: (input: StandardSchemaV1.InferOutput<S>) => string;
  },
): Workflow<
  StandardSchemaV1.InferOutput<S>,
  Record<never, never>,
  never,
  never,
  never,
  Record<never, never>,
  StandardSchemaV1.InferInput<S>
> {
  const where = `Workflow ${JSON.stringify(name)}`;
  const { version = 1, deadlineMs, partitionBy } = options;
  checkName(where, name);
  if (!isWhole(version, 1, 999_999))
    throw new DefinitionError(`${where}: version must be a whole number from 1 to 999999`);
  checkSchema(where, "input", options.input);
  if (deadlineMs !== undefined && !isWhole(deadlineMs, 1, LONGEST_DEADLINE_MS))
    throw new DefinitionError(`${where}: deadlineMs must be a whole number from 1 to ${LONGEST_DEADLINE_MS}, a year`);
  if (partitionBy !== undefined && typeof partitionBy !== "function")
    throw new DefinitionError(`${where}: partitionBy must be a function`);
  const input = options.input as StandardSchemaV1<unknown, StandardSchemaV1.InferOutput<S>>;
  const retention = retentionPolicy(where, options.retention ?? {});
  const budget = definedBudget(where, options.budget);
  const spread = partitionBy as WorkflowSettings["partitionBy"];
  return new Workflow(name, version, input, [], { retention, deadlineMs, budget, partitionBy: spread });
}
