import { parseTimerRow } from "../../../engine/timer-rows.ts";
import { type Case, isEnded, type RunCase, recordOf, type Violation } from "./case.ts";

const STATUSES = ["queued", "running", "waiting", "completed", "failed", "cancelled"];

/** 6: nothing is left of an ended run: no entry, pending or not, no timer, no row in another status's index. */
export function nothingLeftBehind(all: Case): Violation[] {
  return [...entriesLeft(all), ...timersLeft(all), ...indexesLeft(all)];
}

function entriesLeft({ world, runs }: Case): Violation[] {
  const found: Violation[] = [];
  for (const [key, { entries, pending }] of world.streams) {
    if (!/\}:(step|slots):/.test(key)) continue;
    for (const [id, fields] of entries) {
      const run = runs.get(fields.run ?? "");
      const left = {
        rule: 6,
        run: fields.run ?? "",
        what: `entry ${id} of ${key} ${pending.has(id) ? "is pending" : "waits"}`,
      };
      if (run === undefined || isEnded(run)) found.push(left);
    }
    for (const [id, { consumer }] of pending)
      if (!entries.has(id)) found.push({ rule: 6, what: `${id} of ${key} is pending for ${consumer}, and not there` });
  }
  return found;
}

/** Rows that wake a step. (One that looks after a limit stays until it is due, and then finds nothing to do.) */
function timersLeft({ world, runs }: Case): Violation[] {
  const found: Violation[] = [];
  for (const [key, rows] of world.sorted) {
    if (!key.endsWith("}:timers")) continue;
    for (const member of rows.keys()) {
      const row = parseTimerRow(member);
      if (row === undefined) found.push({ rule: 6, what: `${key} has the row ${member}` });
      if (row?.kind !== "wake") continue;
      const run = runs.get(row.run);
      if (run === undefined || isEnded(run)) found.push({ rule: 6, run: row.run, what: `the timer ${member} is left` });
    }
    const delayed = world.hashes.get(key.replace(/timers$/, "delayed")) ?? {};
    for (const [step, count] of Object.entries(delayed)) {
      const rowsOf = [...rows.keys()].map(parseTimerRow).filter((row) => row?.kind === "wake");
      const due = rowsOf.filter((row) => row?.kind === "wake" && `${row.workflow}@${row.version}:${row.step}` === step);
      if (due.length !== Number(count))
        found.push({ rule: 6, what: `${step} has ${due.length} timers, counted as ${count}` });
    }
  }
  return found;
}

function indexesLeft({ world, runs }: Case): Violation[] {
  const found: Violation[] = [];
  for (const [key, members] of world.sorted) {
    const [, status] = /\}:runs:[^:]+:status:(\w+)$/.exec(key) ?? [];
    if (status === undefined) continue;
    for (const id of members.keys()) {
      const run = runs.get(id);
      if (run === undefined) found.push({ rule: 6, run: id, what: `${key} names it, and it is not there` });
      else if (statusOf(run) !== status) found.push({ rule: 6, run: id, what: `is ${statusOf(run)}, and in ${key}` });
    }
  }
  return found;
}

const statusOf = ({ fields }: RunCase) => (fields.status === "undoing" ? "running" : fields.status);

/** 8: a run is absent or whole, and one key has one run. */
export function wholeOrAbsent({ world, runs, journal }: Case): Violation[] {
  const found: Violation[] = [];
  for (const run of runs.values()) for (const what of missing(run, world)) found.push({ rule: 8, run: run.id, what });
  const byKey = Map.groupBy([...runs.values()], ({ fields }) => keyIn(fields.input));
  for (const [key, of] of byKey)
    if (key !== undefined && of.length > 1)
      found.push({
        rule: 8,
        run: of[0]!.id,
        what: `${key} has ${of.length} runs: ${of.map(({ id }) => id).join(", ")}`,
      });
  const acknowledged = Map.groupBy(journal.of("acknowledged"), ({ key }) => key);
  for (const [key, of] of acknowledged) {
    const ids = new Set(of.map(({ run }) => run));
    if (ids.size > 1) found.push({ rule: 8, what: `${key} was acknowledged as ${[...ids].join(", ")}` });
  }
  return found;
}

/** What a run lacks of what admission writes. */
function* missing(run: RunCase, world: World): Iterable<string> {
  const { id, prefix, fields, log, graph } = run;
  for (const field of ["status", "workflow", "version", "tenant", "input", "createdAt", "trimmed"])
    if (fields[field] === undefined) yield `has no ${field}`;
  if (graph === undefined) yield `is of ${fields.workflow}@${fields.version}, which nobody knows`;
  if (log.length === 0) yield "has no log";
  const status = STATUSES.includes(fields.status ?? "") ? fields.status : "running";
  for (const index of [`status:${status}`, `workflow:${fields.workflow}`])
    if (!world.sorted.get(`${prefix}runs:${fields.tenant}:${index}`)?.has(id)) yield `is not in the index of ${index}`;
  const [first] = graph?.steps ?? [];
  if (first !== undefined && recordOf(run, first.name) === undefined) yield `has no record of ${first.name}`;
}

type World = Case["world"];

/** The key that the load has put into the input, by which runs of one request are told. */
function keyIn(input: string | undefined): string | undefined {
  try {
    const key = (JSON.parse(input ?? "null") as { key?: unknown } | null)?.key;
    return typeof key === "string" ? key : undefined;
  } catch {
    return undefined;
  }
}

/** 9: whatever names a run and a tenant names that run's tenant. */
export function tenantsAgree({ world, runs, journal }: Case): Violation[] {
  const found: Violation[] = [];
  const agree = (id: string | undefined, tenant: string | undefined, where: string) => {
    const run = runs.get(id ?? "");
    if (run !== undefined && run.fields.tenant !== tenant)
      found.push({ rule: 9, run: run.id, what: `is ${run.fields.tenant}'s, and ${where} says ${tenant}` });
  };
  for (const [key, members] of world.sorted) {
    const [, tenant] = /\}:runs:([^:]+):/.exec(key) ?? [];
    if (tenant !== undefined) for (const id of members.keys()) agree(id, tenant, key);
    const [, dead] = /\}:dead-letters:(.+)$/.exec(key) ?? [];
    if (dead !== undefined) for (const id of members.keys()) agree(id.split("-").slice(0, 2).join("-"), dead, key);
    for (const member of key.endsWith("}:timers") ? members.keys() : []) {
      const row = parseTimerRow(member);
      if (row?.kind === "wake") agree(row.run, row.tenant, member);
    }
  }
  for (const [key, { entries }] of world.streams)
    for (const { run, tenant } of entries.values()) if (run !== undefined) agree(run, tenant, key);
  for (const [key, { run }] of world.hashes) {
    const [, tenant] = /\}:(?:once|dedupe):([^:]+):/.exec(key) ?? [];
    if (tenant !== undefined) agree(run, tenant, key);
  }
  const listed = new Set([...world.sets.values()].flat());
  for (const { id, fields } of runs.values())
    if (!listed.has(fields.tenant ?? ""))
      found.push({ rule: 9, run: id, what: `is of ${fields.tenant}, who is not listed` });
  for (const { run, tenant, key } of journal.of("acknowledged")) agree(run, tenant, `the acknowledgement of ${key}`);
  for (const [key, type] of world.others) found.push({ rule: 9, what: `${key} is a ${type}, which nobody owns` });
  return found;
}
