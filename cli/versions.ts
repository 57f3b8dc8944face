import type { MigrateResult, VersionView } from "../engine/index.ts";
import { connected, operate } from "./operator.ts";
import type { Column, Printer } from "./printer.ts";
import { parseWhole, type Settings } from "./settings.ts";

export type VersionsCommand =
  | { action: "list"; workflow?: string }
  | { action: "migrate"; workflow: string; from: number; to: number; limit?: number; dryRun?: boolean }
  | { action: "retire"; workflow: string; version: string };

export const HIGHEST_VERSION = 999_999;

const COUNTED = ["queued", "running", "waiting"] as const;
const COLUMNS: readonly Column<VersionView>[] = [
  { name: "workflow", of: ({ workflow, version }) => `${workflow}@${version}` },
  { name: "", of: ({ current }) => (current ? "current" : ""), style: () => "good" },
  { name: "workers", of: ({ workers }) => workers, isNumber: true },
  ...COUNTED.map((status): Column<VersionView> => {
    return { name: status, of: ({ runs, more }) => `${more ? "at least " : ""}${runs[status]}`, isNumber: true };
  }),
  {
    name: "stranded",
    of: ({ stranded, unserved }) => (stranded ? `STRANDED: no worker serves ${unserved.join(", ")}` : ""),
    style: () => "bad",
  },
];

/**
 * `millrace versions`: shows the versions of workflows, moves runs to the same steps of another one, and forgets one that is
 * done with.
 *
 * @throws UsageError, NotFoundError, ConflictError, InvalidInputError, UnavailableError
 */
export async function runVersions(command: VersionsCommand, settings: Settings, out: Printer): Promise<void> {
  const { workflow } = command;
  if (command.action === "list") {
    const which = workflow === undefined ? {} : { workflow };
    return connected(settings, async (millrace) => out.list({ data: await millrace.versions(which) }, COLUMNS));
  }
  if (command.action === "retire") {
    const version = parseWhole("VERSION", command.version, 1, HIGHEST_VERSION);
    await operate(settings, (millrace) => millrace.retireVersion(workflow!, version));
    return out.result({ workflow, version, retired: true });
  }
  const { from, to, limit, dryRun = false } = command;
  await operate(settings, async (millrace) => {
    const most = limit === undefined ? {} : { limit };
    const result = await millrace.migrate({ workflow: command.workflow, from, to, ...most, dryRun });
    out.result(result, linesOf(result, dryRun).join("\n"));
  });
}

function linesOf({ left, ...counts }: MigrateResult, dryRun: boolean): string[] {
  const { moved, skipped, busy, failed } = counts;
  const verb = dryRun ? "would be moved" : "moved";
  return [
    ...left.map(({ run, outcome, reason }) => `${run}\t${outcome}\t${reason}`),
    `${moved} ${verb}, ${skipped} skipped, ${busy} busy, ${failed} failed`,
  ];
}
