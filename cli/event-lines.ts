import type { RunEvent, RunStatus } from "../engine/index.ts";
import { clean, cut, type Printer, type Style } from "./printer.ts";

/** As much of a text as a line has for programs: all of it is in `--json`. */
const MOST = 200;

/** What a watch tells, by the engine and by a gateway alike. */
type Told = RunEvent | { type: "reset"; seq: number; snapshot: { status: RunStatus } };

/** An event of a run, or that its log begins anew, on one line. */
export function lineOf(message: Told, out: Printer): string {
  const { seq, at, type, step, attempt, detail } = fieldsOf(message);
  if (!out.isTerminal) {
    const fields = [seq, at, out.paint(type, styleOf(type)), step, attempt, detail];
    return fields.map((field, i) => (i === 2 ? field : clean(field))).join("\t");
  }
  const time = at.slice(11, 23);
  const words = [String(seq).padStart(4), time.padEnd(12), type.padEnd(14), clean(step).padEnd(12)].join("  ");
  const rest = clean([attempt !== undefined && attempt > 1 ? `attempt ${attempt}` : "", detail].join(" ").trim());
  return `${out.paint(words.trimEnd(), styleOf(type))}${rest === "" ? "" : `  ${cut(rest, Math.max(20, out.width - words.length - 2))}`}`;
}

function fieldsOf(message: Told) {
  if (message.type === "reset") {
    const { seq, snapshot, type } = message;
    return { seq, at: "", type, step: "", attempt: undefined, detail: `the run is ${snapshot.status}` };
  }
  const { seq, at, type, step = "", item, attempt, data } = message;
  const of = item === undefined ? step : `${step}[${item}]`;
  return { seq, at, type, step: of, attempt, detail: cut(detailOf(data), MOST) };
}

/** What the data of an event says, in words. */
function detailOf(data: unknown): string {
  if (typeof data !== "object" || data === null) return data === undefined ? "" : JSON.stringify(data);
  const { progress, message, text, error, retryAt } = data as Record<string, unknown>;
  if (typeof progress === "number")
    return [`${Math.round(100 * progress)} %`, ...(typeof message === "string" ? [message] : [])].join(" ");
  if (typeof text === "string") return text;
  if (typeof error === "object" && error !== null) {
    const { name, message: why } = error as Record<string, unknown>;
    return `${name}: ${why}${typeof retryAt === "string" ? ` (again at ${retryAt})` : ""}`;
  }
  return JSON.stringify(data);
}

function styleOf(type: string): Style | undefined {
  if (type.endsWith(".completed")) return "good";
  if (type.endsWith(".failed") || type.endsWith(".cancelled")) return "bad";
  if (type.endsWith(".retrying") || type === "reset") return "busy";
  return type === "step.progress" || type === "step.output" ? "faint" : undefined;
}
