/** A place in a trace, as W3C Trace Context has it (https://www.w3.org/TR/trace-context/): the values of two headers. */
export interface TraceContext {
  /** `00-TRACE-SPAN-FLAGS`, 55 characters. */
  traceparent: string;
  /** What tracing systems say beside it: at most 96 characters of it are carried, those of the last of them first. */
  tracestate?: string;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const NO_TRACE = "0".repeat(32);
const NO_SPAN = "0".repeat(16);
/** What is known of the flags: whether it is sampled, and whether its id is random. */
const KNOWN_FLAGS = 0x03;

const MEMBER =
  /^(?:[a-z0-9][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;
const MOST_MEMBERS = 32;
/** Of a tracestate, as it is stored: it goes along with every stream entry of the run. */
const STATE_LIMIT = 96;

/**
 * Reads what a caller says of the trace that it is in. As the standard has it nothing is refused: without a valid `traceparent`
 * there is no trace, and an invalid `tracestate` is left out, as is what of it does not fit.
 */
export function parseTraceContext(traceparent: unknown, tracestate?: unknown): TraceContext | undefined {
  const [, version, trace, span, flags, more] = TRACEPARENT.exec(text(traceparent)) ?? [];
  if (version === undefined || version === "ff" || trace === NO_TRACE || span === NO_SPAN) return undefined;
  // A later version may have more behind it, and is gone on with as this one.
  if (version === "00" && more !== undefined) return undefined;
  const known = (Number.parseInt(flags!, 16) & KNOWN_FLAGS).toString(16).padStart(2, "0");
  const parsed: TraceContext = { traceparent: `00-${trace}-${span}-${known}` };
  const state = fitting(text(tracestate));
  if (state !== "") parsed.tracestate = state;
  return parsed;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** The members of a tracestate that are carried; none if any is invalid. */
function fitting(tracestate: string): string {
  const members = tracestate
    .split(",")
    .map((member) => member.replace(/^[ \t]+|[ \t]+$/g, ""))
    .filter((member) => member !== "");
  if (members.length > MOST_MEMBERS || !members.every((member) => MEMBER.test(member))) return "";
  let kept = "";
  for (const member of members) {
    if (escaped(member).length > STATE_LIMIT) continue;
    const longer = kept === "" ? member : `${kept},${member}`;
    if (escaped(longer).length > STATE_LIMIT) break;
    kept = longer;
  }
  return kept;
}

/** What separates the words of records and tickets does not stand in a trace. */
function escaped(state: string): string {
  return state.replace(/[ |%]/g, encodeURIComponent);
}

/** As Redis holds it: one word, `TRACEPARENT` or `TRACEPARENT;TRACESTATE`, of up to 152 characters. */
export function encodeTrace({ traceparent, tracestate }: TraceContext): string {
  return tracestate === undefined ? traceparent : `${traceparent};${escaped(tracestate)}`;
}

export function decodeTrace(stored: string): TraceContext {
  const end = stored.indexOf(";");
  if (end === -1) return { traceparent: stored };
  return {
    traceparent: stored.slice(0, end),
    tracestate: stored.slice(end + 1).replace(/%(?:20|25|7C)/g, decodeURIComponent),
  };
}
