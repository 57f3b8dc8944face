import { connect, type Millrace, type Pausable } from "../engine/index.ts";
import { UsageError } from "./errors.ts";
import { requireRedis, type Settings } from "./settings.ts";

export interface PauseCommand {
  workflow?: string;
  step?: string;
  tenant?: string;
}

/** `millrace pause`. @throws UsageError, and what `connect` and `pause` throw */
export async function runPause(command: PauseCommand, settings: Settings): Promise<void> {
  const what = pausable(command);
  await connected(settings, (millrace) => millrace.pause(what));
}

/** `millrace resume`. @throws UsageError, and what `connect` and `resume` throw */
export async function runResume(command: PauseCommand, settings: Settings): Promise<void> {
  const what = pausable(command);
  await connected(settings, (millrace) => millrace.resume(what));
}

/** `millrace paused`: a line for each. @throws UsageError, and what `connect` throws */
export async function runPaused(settings: Settings): Promise<void> {
  await connected(settings, async (millrace) => {
    for (const { since, ...what } of await millrace.paused()) console.log(`${nameOf(what)} since ${since}`);
  });
}

/** @throws UsageError unless it is a workflow, a step of one, or a tenant */
export function pausable({ workflow, step, tenant }: PauseCommand): Pausable {
  if ((workflow === undefined) === (tenant === undefined) || (step !== undefined && workflow === undefined))
    throw new UsageError("Give --workflow, or --workflow and --step, or --tenant.");
  if (tenant !== undefined) return { tenant };
  return step === undefined ? { workflow: workflow! } : { workflow: workflow!, step };
}

function nameOf(what: Pausable): string {
  if (what.tenant !== undefined) return `tenant ${what.tenant}`;
  return what.step === undefined ? `workflow ${what.workflow}` : `step ${what.workflow}/${what.step}`;
}

async function connected(settings: Settings, work: (millrace: Millrace) => Promise<void>): Promise<void> {
  const millrace = await connect({ url: requireRedis(settings), namespace: settings.namespace, workflows: [] });
  try {
    await work(millrace);
  } finally {
    await millrace.close();
  }
}
