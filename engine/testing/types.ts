import type { RunView, StartedRun, StepView } from "../views.ts";
import type { AnyWorkflow } from "../workflow.ts";

/** The names of a workflow's steps. */
export type StepName<W extends AnyWorkflow> = W extends { outputs: infer O } ? keyof O & string : string;

/** The names of those that run a handler. */
export type HandlerName<W extends AnyWorkflow> = W extends { handlers: infer H } ? keyof H & string : string;

type HandlerTypes<W extends AnyWorkflow, N extends string> = W extends { handlers: infer H }
  ? N extends keyof H
    ? H[N] extends { input: unknown; output: unknown }
      ? H[N]
      : never
    : never
  : { input: unknown; output: unknown };

/** What the handler of a step, or of an item or a turn of it, is given. */
export type HandlerInput<W extends AnyWorkflow, N extends string> = HandlerTypes<W, N>["input"];

/** What it returns. */
export type HandlerOutput<W extends AnyWorkflow, N extends string> = HandlerTypes<W, N>["output"];

/** A step's output. */
export type StepOutput<W extends AnyWorkflow, N extends string> = W extends { outputs: infer O }
  ? N extends keyof O
    ? O[N]
    : unknown
  : unknown;

type RunTypes<W extends AnyWorkflow> = W extends { types: infer T extends { input: unknown; output: unknown } }
  ? T
  : { input: unknown; output: unknown };

/** A run that the kit has started, and of which workflow it is. */
export interface TestRun<W extends AnyWorkflow = AnyWorkflow> extends StartedRun {
  readonly definition: W;
}

/** A run that has ended, with the types of its workflow. The output is absent if it did not complete. */
export type EndedRun<W extends AnyWorkflow = AnyWorkflow> = Omit<RunView, "input" | "output" | "steps"> & {
  input: RunTypes<W>["input"];
  output?: RunTypes<W>["output"];
  steps: { [N in StepName<W>]: Omit<StepView, "output"> & { output?: StepOutput<W, N> } };
};
