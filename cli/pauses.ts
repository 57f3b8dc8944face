import type { Pausable } from "../engine/index.ts";
import { UsageError } from "./errors.ts";
import { connected } from "./operator.ts";
import type { Printer } from "./printer.ts";
import type { Settings } from "./settings.ts";

export interface PauseCommand {
  workflow?: string;
  step?: string;
  tenant?: string;
}

/** `millrace pause` and `millrace resume`. @throws UsageError, and what `connect` and these throw */
export async function runPause(
  action: "pause" | "resume",
  command: PauseCommand,
  settings: Settings,
  out: Printer,
): Promise<void> {
  const what = pausable(command);
  await connected(settings, (millrace) => millrace[action](what));
  out.result({ ...what, paused: action === "pause" });
}

/** `millrace paused`: a line for each. @throws UsageError, and what `connect` throws */
export async function runPaused(settings: Settings, out: Printer): Promise<void> {
  await connected(settings, async (millrace) =>
    out.list({ data: await millrace.paused() }, [
      { name: "kind", of: (what) => nameOf(what)[0] },
      { name: "name", of: (what) => nameOf(what)[1] },
      { name: "since", of: ({ since }) => since },
    ]),
  );
}

/** @throws UsageError unless it is a workflow, a step of one, or a tenant */
export function pausable({ workflow, step, tenant }: PauseCommand): Pausable {
  if ((workflow === undefined) === (tenant === undefined) || (step !== undefined && workflow === undefined))
    throw new UsageError("Give --workflow, or --workflow and --step, or --tenant.");
  if (tenant !== undefined) return { tenant };
  return step === undefined ? { workflow: workflow! } : { workflow: workflow!, step };
}

function nameOf(what: Pausable): [kind: string, name: string] {
  if (what.tenant !== undefined) return ["tenant", what.tenant];
  return what.step === undefined ? ["workflow", what.workflow] : ["step", `${what.workflow}/${what.step}`];
}
