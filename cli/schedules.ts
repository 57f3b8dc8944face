import type { Millrace, ScheduleOptions, ScheduleSummary } from "../engine/index.ts";
import { loadDefinitions } from "./definitions.ts";
import { operate } from "./operator.ts";
import type { Settings } from "./settings.ts";

/** `workflows`: modules of definitions, for what starts runs or checks their input. */
export type SchedulesCommand =
  | { verb: "list" }
  | { verb: "create"; options: ScheduleOptions; workflows: string[] }
  | { verb: "trigger"; name: string; workflows: string[] }
  | { verb: "pause" | "resume" | "delete"; name: string };

/**
 * `millrace schedules`: shows and changes what starts runs by the clock.
 *
 * @throws UsageError, and what `connect` and the schedules' API throw
 */
export async function runSchedules(command: SchedulesCommand, settings: Settings): Promise<void> {
  const workflows = "workflows" in command ? await loadDefinitions(command.workflows) : [];
  const act = async (millrace: Millrace) => {
    for await (const line of carriedOut(command, millrace)) console.log(line);
  };
  await operate(settings, act, workflows);
}

async function* carriedOut(command: SchedulesCommand, { schedules }: Millrace): AsyncGenerator<string> {
  switch (command.verb) {
    case "list": {
      let cursor: string | undefined;
      do {
        const page = await schedules.list({ limit: 100, ...(cursor === undefined ? {} : { cursor }) });
        for (const each of page.data) yield lineOf(each);
        cursor = page.next;
      } while (cursor !== undefined);
      return;
    }
    case "create":
      yield lineOf(await schedules.create(command.options));
      return;
    case "trigger":
      yield `run ${(await schedules.trigger(command.name)).id}`;
      return;
    case "delete":
      await schedules.delete(command.name);
      yield `${command.name}  deleted`;
      return;
    default:
      yield lineOf(await schedules[command.verb](command.name));
  }
}

/** A schedule on one line: name, state, workflow, when, and what comes next or went wrong. */
function lineOf({ name, status, workflow, cron, timeZone, every, at, nextTick, lastError }: ScheduleSummary): string {
  const when = cron === undefined ? (at ?? `every ${every} ms`) : `${cron} ${timeZone}`;
  const next = nextTick === undefined ? [] : [`next ${nextTick}`];
  const error = lastError === undefined ? [] : [`last error at ${lastError.tick}: ${lastError.message}`];
  return [name, status, workflow, when, ...next, ...error].join("  ");
}
