import type { GraphStep } from "./graph.ts";
import type { RunSummary, RunView } from "./views.ts";
import type { AnyWorkflow } from "./workflow.ts";

/** One version of a workflow, as an operator sees it. */
export interface VersionView {
  workflow: string;
  version: number;
  /** Whether it is the newest that was served here. A process starts runs on the newest that it knows itself. */
  current: boolean;
  steps: readonly GraphStep[];
  /** Live worker processes that serve any of its steps. */
  workers: number;
  /** Its steps that no live worker serves. */
  unserved: string[];
  /** Live runs, of the oldest 5,000 of the tenant in each status. */
  runs: { queued: number; running: number; waiting: number };
  /** Whether the tenant has more live runs than were looked at: there may be more than `runs` says. */
  more: boolean;
  /** Whether it has live runs and no worker at all, or work at a step that no live worker serves. */
  stranded: boolean;
}

type StepNames<W> = W extends { outputs: infer Steps } ? keyof Steps & string : string;
type Outputs<W> = W extends { outputs: infer Steps } ? Partial<Steps> : Record<string, unknown>;
type InputOf<W> = W extends { types: { input: infer In } } ? In : unknown;

/** Where a run goes on in the version that it is moved to. */
export interface MigrateTo<W extends string | AnyWorkflow = string> {
  /**
   * The step, or the steps side by side, that the run is at. A step that the run is at already keeps what it waits for, its
   * attempts and its time; any other begins anew. What comes before them is done: completed if it was, or if `outputs` has
   * it, else skipped.
   */
  at: StepNames<W> | readonly StepNames<W>[];
  /** Outputs of steps that are done, in place of what they came to, or of steps that the run has not gone through. */
  outputs?: Outputs<W>;
  /** The run's input from now on. */
  input?: InputOf<W>;
}

/** What becomes of a run: it is moved, left where it is, or cancelled. */
export type MigrateDecision<W extends string | AnyWorkflow = string> = MigrateTo<W> | "skip" | "cancel";

/** Which runs go to which version, and how. */
export interface MigrateOptions<W extends string | AnyWorkflow = string> {
  /** With a definition, the names of steps, their outputs and the input have its types. */
  workflow: W;
  from: number;
  /** Default: the definition's version, or the newest that this process knows. */
  to?: number;
  /** Which runs: their ids, at most 1,000, or what says so of each. Default: all live ones. */
  runs?: readonly string[] | ((run: RunSummary) => boolean);
  /** So many are moved at the most. */
  limit?: number;
  /** Decides and checks, and moves nothing. */
  dryRun?: boolean;
  tenant?: string;
}

/** What became of the runs of a migration. */
export interface MigrateResult {
  /** With `dryRun`: that would have been. */
  moved: number;
  cancelled: number;
  skipped: number;
  /** With an attempt in hand, a map or loop under way, or a child run that is waited for: a later call may move them. */
  busy: number;
  failed: number;
  /** Those that were left where they are, and why: the first 1,000. */
  left: { run: string; outcome: "skipped" | "busy" | "failed"; reason: string }[];
}

/** What can be done with the versions of workflows. */
export interface VersionsApi {
  /** Every version that was ever served here and is not retired, the newest first. @throws UnavailableError */
  versions(options?: { workflow?: string; tenant?: string }): Promise<VersionView[]>;
  /**
   * Moves live runs from one version to another, by what `decide` says of each; without it, a run goes on at the steps of
   * the same names, if the steps that it has come to are in both versions alike, and is skipped otherwise. `decide` may be
   * called again for a run that moves on meanwhile. The call may be repeated, and goes on with what it left.
   *
   * @throws NotFoundError for a workflow version that was never served here; InvalidInputError; UnavailableError
   */
  migrate<const W extends string | AnyWorkflow>(
    options: MigrateOptions<W>,
    decide?: (run: RunView) => MigrateDecision<W> | Promise<MigrateDecision<W>>,
  ): Promise<MigrateResult>;
  /**
   * Forgets a version that is done with: its streams and groups are deleted, and it is listed no more. Its ended runs are
   * still shown. A process that connects with its definition brings it back. Retiring twice is fine.
   *
   * @throws NotFoundError; ConflictError `version_current`, `version_served`, `version_live`, `version_dead_letters`
   */
  retireVersion(workflow: string, version: number): Promise<void>;
}
