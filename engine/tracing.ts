import {
  type Attributes,
  type Context,
  context,
  createTraceState,
  type ProxyTracerProvider,
  type Span,
  type SpanContext,
  SpanKind,
  type SpanOptions,
  SpanStatusCode,
  type Tracer,
  type TracerProvider,
  trace,
} from "@opentelemetry/api";
import type { Attempt } from "./attempt.ts";
import { isToStart, isUndo } from "./entry.ts";
import { type ErrorRecord, errorRecord } from "./errors.ts";
import { logger } from "./log.ts";
import { encodeTrace, parseTraceContext, type TraceContext } from "./trace-context.ts";
import type { Transition } from "./transition.ts";
import type { StartedRun } from "./views.ts";
import type { AttemptOutcome } from "./worker-observer.ts";

const NAME = "millrace";
const log = logger("tracing");

/** What makes spans, if an SDK is registered in this process. Without one nothing is made, not even what would do nothing. */
function tracer(): Tracer | undefined {
  const provider: TracerProvider & Partial<ProxyTracerProvider> = trace.getTracerProvider();
  return provider.getDelegateTracer === undefined ? provider.getTracer(NAME) : provider.getDelegateTracer(NAME);
}

/**
 * Begins a span that goes on from a place in a trace, or else from the span that is active; undefined while no SDK is
 * registered.
 */
export function beginSpan(name: string, options: SpanOptions, from?: TraceContext): Span | undefined {
  return safely(() => tracer()?.startSpan(name, options, from === undefined ? context.active() : contextAt(from)));
}

function contextAt({ traceparent, tracestate }: TraceContext): Context {
  const [, traceId, spanId, flags] = traceparent.split("-") as [string, string, string, string];
  const at: SpanContext = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  if (tracestate !== undefined) at.traceState = createTraceState(tracestate);
  return trace.setSpanContext(context.active(), at);
}

/** Where a span is; undefined if it is one of an SDK that makes none. */
export function placeOf(span: Span): TraceContext | undefined {
  const { traceId, spanId, traceFlags, traceState } = span.spanContext();
  const flags = traceFlags.toString(16).padStart(2, "0");
  return parseTraceContext(`00-${traceId}-${spanId}-${flags}`, traceState?.serialize());
}

/** Calls a function with a span active, so that what is traced in there goes on from it. */
export function inSpan<T>(span: Span | undefined, work: () => T): T {
  return span === undefined ? work() : context.with(trace.setSpan(context.active(), span), work);
}

/** Ends a span with what is known by then, and what it has failed with, if it has. */
export function endSpan(span: Span | undefined, attributes: Attributes, error?: ErrorRecord): void {
  if (span === undefined) return;
  safely(() => {
    span.setAttributes(attributes);
    if (error !== undefined) {
      const { name, message, code, stack } = error;
      span.setAttribute("error.type", code ?? name);
      span.recordException({ name, message, ...(stack === undefined ? {} : { stack }) });
      span.setStatus({ code: SpanStatusCode.ERROR, message });
    }
    span.end();
  });
}

/** What samplers and processors of an application throw is not to fail what they watch. */
function safely<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    log.warn("a span is left out: {error}", { error });
    return undefined;
  }
}

/**
 * Starts a run in a span of its own, from which its steps go on.
 *
 * @param from where the caller is in a trace, if it says so; `none`: the run begins a trace
 * @param start is given the trace as Redis is to hold it; undefined if the run is of none
 */
export async function startInSpan<T extends Pick<StartedRun, "id" | "created">>(
  workflow: string,
  from: TraceContext | "none" | undefined,
  start: (trace: string | undefined) => Promise<T>,
): Promise<T> {
  const given = from === "none" ? undefined : from;
  const attributes = messaging("send", "start", workflow, { "millrace.workflow": workflow });
  const options = { kind: SpanKind.PRODUCER, attributes, root: from === "none" };
  const span = beginSpan(`run ${workflow}`, options, given);
  const place = (span && placeOf(span)) ?? given;
  try {
    const started = await inSpan(span, () => start(place && encodeTrace(place)));
    endSpan(span, { "millrace.run.id": started.id, "millrace.run.created": started.created });
    return started;
  } catch (error) {
    endSpan(span, {}, errorRecord(error));
    throw error;
  }
}

/**
 * Begins the span of an attempt; undefined while no SDK is registered, and for what only finds out whose a step is, for its
 * limits.
 */
export function beginAttempt(attempt: Attempt): Span | undefined {
  const { entry } = attempt;
  if (entry.stream.gate === "before" && isToStart(entry)) return undefined;
  if (safely(tracer) === undefined) return undefined;
  const { workflow } = entry.stream.graph;
  const name = `${isUndo(entry) ? "undo" : "step"} ${workflow}/${attempt.step}`;
  const from = attempt.trace;
  return beginSpan(
    name,
    { kind: SpanKind.CONSUMER, root: from === undefined, attributes: attributesOf(attempt) },
    from,
  );
}

function attributesOf({ entry, step, item, attempt }: Attempt): Attributes {
  const { workflow, version } = entry.stream.graph;
  return messaging("process", "process", `${workflow}/${step}`, {
    "messaging.message.id": entry.id,
    "millrace.run.id": entry.run,
    "millrace.workflow": workflow,
    "millrace.workflow.version": version,
    "millrace.step": step,
    "millrace.attempt": attempt,
    ...(item === undefined ? {} : { "millrace.item": item }),
  });
}

/** https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/ */
function messaging(type: string, operation: string, destination: string, more: Attributes): Attributes {
  return {
    "messaging.system": NAME,
    "messaging.operation.type": type,
    "messaging.operation.name": operation,
    "messaging.destination.name": destination,
    ...more,
  };
}

const OUTCOMES: Record<Transition["kind"], AttemptOutcome> = {
  ...{
    complete: "completed",
    skip: "skipped",
    park: "waiting",
    gate: "waiting",
    leave: "released",
    expand: "expanded",
  },
  ...{ retry: "retrying", collect: "failed", dead: "failed", release: "released" },
};

/** What has come of an attempt, in a word; undefined: another attempt has taken its place. */
export function outcomeName(end: Transition | undefined): AttemptOutcome {
  return end === undefined ? "released" : OUTCOMES[end.kind];
}

/** Ends the span of an attempt with what has come of it; undefined: another attempt has taken its place. */
export function endAttempt(span: Span | undefined, end: Transition | undefined): void {
  if (span === undefined) return;
  const error = end !== undefined && "error" in end ? end.error : undefined;
  endSpan(span, { "millrace.outcome": outcomeName(end) }, error);
}

/** Calls a handler for several attempts: what is traced in there goes on from the first, and the others link to that. */
export function inSpanOf<T>(attempts: readonly Attempt[], work: () => T): T {
  const [first, ...others] = attempts.map(({ span }) => span).filter((span) => span !== undefined);
  for (const other of others) other.addLink({ context: first!.spanContext() });
  return inSpan(first, work);
}
