import type { MigrateResult, VersionView } from "../engine/index.ts";
import { operate } from "./operator.ts";
import { parseWhole, type Settings } from "./settings.ts";

export type VersionsCommand =
  | { action: "list"; workflow?: string }
  | { action: "migrate"; workflow: string; from: string; to: string; limit?: string; dryRun?: boolean }
  | { action: "retire"; workflow: string; version: string };

const HIGHEST = 999_999;

/**
 * `millrace versions`: shows the versions of workflows, moves runs to the same steps of another one, and forgets one that is
 * done with.
 *
 * @throws UsageError, NotFoundError, ConflictError, InvalidInputError, UnavailableError
 */
export async function runVersions(command: VersionsCommand, settings: Settings): Promise<void> {
  if (command.action === "list") {
    const { workflow } = command;
    return operate(settings, async (millrace) => {
      for (const view of await millrace.versions(workflow === undefined ? {} : { workflow })) console.log(lineOf(view));
    });
  }
  const { workflow } = command;
  if (command.action === "retire") {
    const version = parseWhole("VERSION", command.version, 1, HIGHEST);
    return operate(settings, (millrace) => millrace.retireVersion(workflow, version));
  }
  const from = parseWhole("--from", command.from, 1, HIGHEST);
  const to = parseWhole("--to", command.to, 1, HIGHEST);
  const limit = command.limit === undefined ? {} : { limit: parseWhole("--limit", command.limit, 1, 999_999_999) };
  const dryRun = command.dryRun === true;
  return operate(settings, async (millrace) => {
    for (const line of linesOf(await millrace.migrate({ workflow, from, to, ...limit, dryRun }), dryRun))
      console.log(line);
  });
}

function lineOf({ workflow, version, current, workers, unserved, runs, more, stranded }: VersionView): string {
  const atLeast = more ? "at least " : "";
  const counts = `${atLeast}${runs.queued} queued, ${runs.running} running, ${runs.waiting} waiting`;
  const words = [`${workflow}@${version}`, ...(current ? ["current"] : []), `${workers} workers`, counts];
  if (stranded) words.push(`STRANDED: no worker serves ${unserved.join(", ")}`);
  return words.join("  ");
}

function linesOf({ left, ...counts }: MigrateResult, dryRun: boolean): string[] {
  const { moved, skipped, busy, failed } = counts;
  const verb = dryRun ? "would be moved" : "moved";
  return [
    ...left.map(({ run, outcome, reason }) => `${run}  ${outcome}: ${reason}`),
    `${moved} ${verb}, ${skipped} skipped, ${busy} busy, ${failed} failed`,
  ];
}
