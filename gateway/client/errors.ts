import type { ErrorRecord, Problem } from "./types.ts";

/** The gateway refused. `code` is what to tell errors apart by, such as `not-found` and `invalid-input`. */
export class ClientError extends Error {
  override readonly name = "ClientError";
  readonly status: number;
  readonly code: string;
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail || problem.title);
    this.status = problem.status;
    this.code = problem.type.split(":").at(-1)!;
    this.problem = problem;
  }
}

/** The run that was waited for has failed, or was cancelled. */
export class RunError extends Error {
  override readonly name = "RunError";
  readonly run: string;
  readonly status: "failed" | "cancelled";
  /** What its step failed with; undefined if it was cancelled. */
  readonly record: ErrorRecord | undefined;

  constructor(run: string, status: "failed" | "cancelled", record?: ErrorRecord) {
    super(record?.message ?? `The run ${run} was ${status}.`);
    this.run = run;
    this.status = status;
    this.record = record;
  }
}
