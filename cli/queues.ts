import { setTimeout as after } from "node:timers/promises";
import { type Millrace, type QueueView, UnavailableError } from "../engine/index.ts";
import { durationOf } from "./durations.ts";
import { endOnSignal } from "./interrupt.ts";
import { connected } from "./operator.ts";
import type { Column, Printer } from "./printer.ts";
import { type Redrawer, redrawer } from "./redraw.ts";
import type { Settings } from "./settings.ts";

export interface QueuesCommand {
  workflow?: string;
  watch?: boolean;
  everyMs: number;
}

const COLUMNS: readonly Column<QueueView>[] = [
  { name: "workflow", of: ({ workflow, version }) => `${workflow}@${version}` },
  { name: "step", of: ({ step }) => step },
  { name: "depth", of: ({ depth }) => depth, isNumber: true, style: (view) => (isStuck(view) ? "bad" : undefined) },
  { name: "in flight", of: ({ inFlight }) => inFlight, isNumber: true },
  { name: "delayed", of: ({ delayed }) => delayed, isNumber: true },
  { name: "limited", of: ({ limited }) => limited, isNumber: true },
  { name: "dead", of: ({ dead }) => dead, isNumber: true, style: ({ dead }) => (dead > 0 ? "bad" : undefined) },
  {
    name: "oldest",
    of: ({ oldestAgeMs }) => oldestAgeMs,
    shown: ({ oldestAgeMs }) => durationOf(oldestAgeMs),
    isNumber: true,
  },
  {
    name: "workers",
    of: ({ workers }) => workers,
    isNumber: true,
    style: (view) => (isStuck(view) ? "bad" : undefined),
  },
  { name: "", of: ({ paused }) => (paused ? "paused" : ""), style: () => "busy" },
];

/** `millrace queues`: where work waits, once or over and over. @throws UnavailableError, but not while it watches */
export async function runQueues(command: QueuesCommand, settings: Settings, out: Printer): Promise<void> {
  await connected(settings, async (millrace) => {
    if (!command.watch) out.list({ data: await look(millrace, command) }, COLUMNS);
    else await watch(millrace, command, out);
  });
}

async function watch(millrace: Millrace, command: QueuesCommand, out: Printer): Promise<void> {
  const draw = out.isTerminal ? await redrawer(process.stdout) : undefined;
  endOnSignal(() => draw?.done());
  try {
    for (;;) {
      await show(millrace, command, draw, out);
      await after(command.everyMs);
    }
  } finally {
    draw?.done();
  }
}

async function show(
  millrace: Millrace,
  command: QueuesCommand,
  draw: Redrawer | undefined,
  out: Printer,
): Promise<void> {
  const at = new Date().toISOString();
  try {
    const data = await look(millrace, command);
    if (draw !== undefined) draw.show(`${at}\n${shownOf(data, out)}`);
    else if (out.json) out.line({ at, data }, "");
    else for (const line of out.lines(data, COLUMNS)) out.print(`${at}\t${line}`);
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    if (draw === undefined) out.note(`${at} ${error.message}`);
    else draw.show(`${at}\n${error.message}`);
  }
}

async function look(millrace: Millrace, { workflow }: QueuesCommand): Promise<QueueView[]> {
  const all = await millrace.queues();
  return workflow === undefined ? all : all.filter((view) => view.workflow === workflow);
}

/** As much of it as the terminal has room for. */
function shownOf(data: readonly QueueView[], out: Printer): string {
  const lines = out.lines(data, COLUMNS);
  const room = Math.max(3, (process.stdout.rows || 24) - 3);
  if (lines.length <= room) return lines.join("\n");
  return [...lines.slice(0, room), `and ${lines.length - room} more`].join("\n");
}

function isStuck({ depth, workers, paused }: QueueView): boolean {
  return depth > 0 && workers === 0 && !paused;
}
