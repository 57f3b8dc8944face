import type {
  ErrorRecord,
  Page,
  RunEvent,
  RunStatus,
  RunSummary,
  RunView,
  StepView,
  Stored,
} from "../../engine/index.ts";

/** A workflow's definition, of which a client wants the types alone: `client.run<typeof documentAnalysis>(…)`. */
export interface Typed {
  types: { given: unknown; output: unknown };
  outputs: object;
}
/** A definition that is not known. */
export type Untyped = { types: { given: unknown; output: unknown }; outputs: Record<string, unknown> };

/** What a run of a workflow is started with. */
export type InputOf<W extends Typed> = W["types"]["given"];
/** What a run of a workflow comes to. */
export type OutputOf<W extends Typed> = Stored<W["types"]["output"]>;
/** The names of a workflow's steps. */
export type StepOf<W extends Typed> = keyof W["outputs"] & string;

/** A step as a client sees it. */
export type Step<O> = Omit<StepView, "output"> & { output?: Stored<Awaited<O>> };

/** A run as a client sees it. */
export type Run<W extends Typed = Untyped> = Omit<RunView, "input" | "output" | "steps"> & {
  input?: InputOf<W>;
  output?: OutputOf<W>;
  steps: { [N in StepOf<W>]: Step<W["outputs"][N & keyof W["outputs"]]> };
};

/** One event of a run. */
export type Event<W extends Typed = Untyped> = Omit<RunEvent, "step"> & { step?: StepOf<W> };

/** The run's log no longer reaches back to where the watcher was: all that was known of it is void, and this is how it stands. */
export interface Reset<W extends Typed = Untyped> {
  type: "reset";
  run: string;
  seq: number;
  snapshot: Run<W>;
}
/** What a watcher of a run is given: what happened, or a new beginning. */
export type Message<W extends Typed = Untyped> = Event<W> | Reset<W>;

/** What is watched: a run to its end, the runs of a workflow, or all of the tenant. */
export type Topic = { run: string } | { workflow: string } | { all: true };

/** Which runs are listed, the newest first. */
export interface RunFilter {
  workflow?: string | undefined;
  status?: RunStatus | undefined;
  tag?: string | undefined;
  /** 1 to 100. Default 20. */
  limit?: number | undefined;
  /** The `next` of an earlier page. */
  cursor?: string | undefined;
}

/** What a ticket is asked for: the body of `POST /v1/tickets`. */
export type TicketFor = { runs: readonly string[] } | { workflows: readonly string[] };

/** Which document was made of an upload, and which run was started with it. */
export interface Uploaded {
  document: string;
  run?: string;
}

/** An error as the gateway tells it (RFC 9457). */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  errors?: { path: (string | number)[]; message: string }[];
}

export type { ErrorRecord, Page, RunStatus, RunSummary };
