import type { Span } from "@opentelemetry/api";
import { attemptOf, type Entry, isUndo } from "./entry.ts";
import type { StepContext } from "./step.ts";
import { decodeTrace, type TraceContext } from "./trace-context.ts";
import { placeOf } from "./tracing.ts";

type Identity = "run" | "step" | "item" | "attempt" | "idempotencyKey" | "fence" | "traceparent" | "tracestate";

/** Which attempt of which step of which run, as its handler is told. */
export class AttemptIdentity implements Pick<StepContext, Identity> {
  readonly entry: Entry;
  readonly attempt: number;
  /** Its span, where its process makes any. */
  span: Span | undefined;

  constructor(entry: Entry) {
    this.entry = entry;
    this.attempt = attemptOf(entry);
  }

  get run(): StepContext["run"] {
    const { graph } = this.entry.stream;
    return { id: this.entry.run, workflow: graph.workflow, version: graph.version, tenant: this.entry.tenant };
  }

  get step(): string {
    return this.entry.stream.step.name;
  }

  get item(): number | undefined {
    return this.entry.item;
  }

  get idempotencyKey(): string {
    const { run, item } = this.entry;
    if (isUndo(this.entry)) return `${run}:${this.step}:undo`;
    return item === undefined ? `${run}:${this.step}` : `${run}:${this.step}:${item}`;
  }

  get fence(): string {
    return `${this.entry.id}:${this.entry.count}`;
  }

  /** Where it is in a trace: at its span, or where its run was started. */
  get trace(): TraceContext | undefined {
    if (this.span !== undefined) return placeOf(this.span);
    return this.entry.trace === undefined ? undefined : decodeTrace(this.entry.trace);
  }

  get traceparent(): string | undefined {
    return this.trace?.traceparent;
  }

  get tracestate(): string | undefined {
    return this.trace?.tracestate;
  }
}
