import type { RunView, StartedRun, StepView } from "../views.ts";
import type { AnyWorkflow } from "../workflow.ts";

/** The names of a workflow's steps. */
export type StepName<W extends AnyWorkflow> = W extends { outputs: infer O } ? keyof O & string : string;

/** What a step of a workflow is given. */
export type StepInput<W extends AnyWorkflow, N extends string> = W extends { inputs: infer I }
  ? N extends keyof I
    ? I[N]
    : unknown
  : unknown;

/** What a step of a workflow returns. */
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
