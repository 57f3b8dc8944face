import type { Run } from "../gateway/client/index.ts";
import { clean, cut, type Printer, type Style } from "./printer.ts";

const CELLS = 24;
const NAME = 16;

type Step = Run["steps"][string];

/** How far something is, from 0 to 1, as a bar. @param words what is said behind it */
export function barLine(name: string, share: number, out: Printer, words = "", style: Style = "good"): string {
  const full = Math.round(CELLS * Math.min(1, Math.max(0, share)));
  const bar = out.paint("█".repeat(full), style) + out.paint("░".repeat(CELLS - full), "faint");
  const before = `${cut(clean(name), NAME).padEnd(NAME)}  `;
  const percent = `${Math.round(100 * share)} %`.padStart(5);
  const room = Math.max(10, out.width - before.length - CELLS - percent.length - 5);
  return `${before}${bar} ${percent}  ${cut(clean(words), room)}`.trimEnd();
}

/** A run's steps, a bar for each, and how it stands. @param isAway whether nothing is heard of it just now */
export function barsOf(run: Run, isAway: boolean, out: Printer): string {
  const bars = Object.entries(run.steps).map(([name, step]) =>
    barLine(name, shareOf(step), out, wordsOf(step), styleOf(step.status)),
  );
  const status = `run ${run.id}  ${out.paint(run.status, styleOf(run.status))}`;
  const error = run.error === undefined ? "" : `  ${cut(clean(`${run.error.name}: ${run.error.message}`), 100)}`;
  return [...bars, `${status}${error}${isAway ? "  (connecting)" : ""}`].join("\n");
}

function shareOf({ status, progress = 0, items }: Step): number {
  if (status === "completed" || status === "skipped") return 1;
  if (items !== undefined && items.total > 0) return (items.done + items.failed) / items.total;
  return progress;
}

function wordsOf({ status, message, items, attempt }: Step): string {
  const of = items === undefined ? "" : `${items.done} of ${items.total}`;
  return [status, of, attempt > 1 ? `attempt ${attempt}` : "", message ?? ""]
    .filter((words) => words !== "")
    .join("  ");
}

function styleOf(status: string): Style {
  if (status === "completed") return "good";
  if (status === "failed" || status === "cancelled") return "bad";
  return status === "running" || status === "retrying" ? "busy" : "faint";
}
