import type { Millrace, ScheduleOptions, ScheduleSummary } from "../engine/index.ts";
import { loadDefinitions } from "./definitions.ts";
import { operate } from "./operator.ts";
import { type PageCommand, pageOf } from "./options.ts";
import type { Column, Printer } from "./printer.ts";
import type { Settings } from "./settings.ts";

/** `workflows`: modules of definitions, for what starts runs or checks their input. */
export type SchedulesCommand =
  | { verb: "list"; page: PageCommand }
  | { verb: "create"; options: ScheduleOptions; workflows: string[] }
  | { verb: "trigger"; name: string; workflows: string[] }
  | { verb: "pause" | "resume" | "delete"; name: string };

/** A schedule on one line: name, state, workflow, when, and what comes next or went wrong. */
const COLUMNS: readonly Column<ScheduleSummary>[] = [
  { name: "name", of: ({ name }) => name },
  { name: "status", of: ({ status }) => status, style: ({ status }) => (status === "active" ? "good" : "busy") },
  { name: "workflow", of: ({ workflow }) => workflow },
  {
    name: "when",
    of: ({ cron, timeZone, every, at }) => (cron === undefined ? (at ?? `every ${every} ms`) : `${cron} ${timeZone}`),
  },
  { name: "next", of: ({ nextTick }) => nextTick },
  {
    name: "last error",
    of: ({ lastError }) => (lastError === undefined ? "" : `${lastError.tick}: ${lastError.message}`),
    style: () => "bad",
  },
];

/**
 * `millrace schedules`: shows and changes what starts runs by the clock.
 *
 * @throws UsageError, and what `connect` and the schedules' API throw
 */
export async function runSchedules(command: SchedulesCommand, settings: Settings, out: Printer): Promise<void> {
  const workflows = "workflows" in command ? await loadDefinitions(command.workflows) : [];
  await operate(settings, (millrace) => carryOut(command, millrace, out), workflows);
}

async function carryOut(command: SchedulesCommand, { schedules }: Millrace, out: Printer): Promise<void> {
  const show = (schedule: ScheduleSummary) => out.result(schedule, out.lines([schedule], COLUMNS).join("\n"));
  switch (command.verb) {
    case "list":
      return out.list(await schedules.list(pageOf(command.page)), COLUMNS);
    case "create":
      return show(await schedules.create(command.options));
    case "trigger": {
      const run = await schedules.trigger(command.name);
      return out.result(run, run.id);
    }
    case "delete":
      await schedules.delete(command.name);
      return out.result({ name: command.name, deleted: true }, `${command.name} deleted`);
    default:
      return show(await schedules[command.verb](command.name));
  }
}
