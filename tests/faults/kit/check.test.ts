import { beforeAll, expect, test } from "vitest";
import { faultBench } from "../../support/faults/bench.ts";
import { type Case, caseOf } from "../../support/faults/case.ts";
import { violationsOf } from "../../support/faults/check.ts";
import { type Effect, Journal, type Line } from "../../support/faults/journal.ts";
import { readWorld, type World } from "../../support/faults/world.ts";
import { redisUrl } from "../../support/redis.ts";
import { temporaryDir } from "../../support/run.ts";

let world: World;
let lines: Line[];
let namespace: string;
/** One that completed and was watched. */
let run: string;

beforeAll(async () => {
  await using bench = await faultBench({ faults: 0, load: { tenants: ["ann", "bob"] } });
  await bench.workers(1);
  await bench.load.run(20, (n) => (n % 7 === 0 ? { throws: "cross" } : {}));
  const checked = await bench.check();
  expect(checked).toMatchObject({ runs: 20, completed: 20, effects: 80 + 3 });
  ({ namespace } = bench.fleet);
  world = await readWorld([redisUrl], namespace);
  lines = [...bench.journal.lines()];
  run = bench.journal.of("saw")[0]!.run;
});

/** What the nine say of the world and the journal after a change. */
async function after(change: (world: World, lines: Line[]) => void): Promise<string[]> {
  const changed = structuredClone(world);
  const said = structuredClone(lines);
  change(changed, said);
  const journal = new Journal(`${await temporaryDir()}/journal`);
  for (const line of said) journal.add(line);
  const all: Case = caseOf(changed, namespace, journal, { attempts: 3, crashes: 3 });
  return violationsOf(all).map(({ rule, what }) => `${rule} ${what}`);
}

const key = (name: string) => `{${namespace}:0}:${name}`;
const fields = (of: World) => of.hashes.get(key(`run:${run}`))!;
const log = (of: World) => of.lists.get(key(`log:${run}`))!;
const effect = (of: Line[], step: string) =>
  of.find((line) => line.what === "effect" && line.run === run && line.step === step) as Effect;

test("nothing is said of what is as it should be", async () => {
  expect(await after(() => {})).toEqual([]);
});

test.each<[string, string, (world: World, lines: Line[]) => void]>([
  ["an acknowledged run that is lost", "1 was acknowledged", (of) => of.hashes.delete(key(`run:${run}`))],
  ["a run that has not ended", "1 is running still", (of) => Object.assign(fields(of), { status: "running" })],
  ["a transition that is there twice", "2 pack completed twice", (of) => log(of).push(log(of)[3]!)],
  ["a result that came late", "2 pack completed as attempt 1, and 2", (of) => void log(of).splice(2, 0, startedAgain)],
  ["transitions out of order", "2 leave came before pack", (of) => log(of).reverse()],
  ["a completed run without a step", "2 ended without leave", (of) => without(of, "leave")],
  ["a log that says otherwise", "2 leave is undefined", (of) => void delete fields(of)["step:leave"]],
  ["an input that is no output", "3 leave got", (of) => Object.assign(fields(of), { "output:pack": "{}" })],
  ["too many crashes", "4 pack has", (of) => Object.assign(fields(of), { "step:pack": "completed 5 0 4 - 1 2 0" })],
  ["too many attempts", "4 pack was run", (_, of) => Object.assign(effect(of, "pack"), { attempt: 7 })],
  ["a completed step that never ran", "5 pack completed and", (_, of) => of.splice(of.indexOf(effect(of, "pack")), 1)],
  ["an attempt that ran twice", "5 an attempt on pack ran twice", (_, of) => of.push(effect(of, "pack"))],
  ["an output of nobody", "5 arrive has", (of) => Object.assign(fields(of), { "output:arrive": "{}" })],
  ["a gap in what was seen", "saw event 3 as number 2", (_, of) => of.splice(of.findIndex(seen(2)), 1)],
  ["a log without its end", "7 is completed, and its log", (of) => log(of).pop()],
  ["half a run", "8 has no tenant", (of) => void delete fields(of).tenant],
  ["a run in no index", "8 is not in", (of) => of.sorted.delete(key(`runs:${fields(of).tenant}:workflow:journey`))],
  ["two runs of one key", "8 k", (of) => twice(of)],
  ["a key of two runs", "8 k", (_, of) => of.push({ ...of.find(acknowledged)!, run: "other" } as Line)],
  ["a run of another's", "9 is ", (of) => Object.assign(fields(of), { tenant: "eve" })],
  ["a run of nobody who is known", "9 is of", (of) => of.sets.clear()],
  ["a key of nobody", "9 ", (of) => of.others.set(key("odd"), "string")],
])("it tells %s: %s", async (_, said, change) => {
  expect(await after(change)).toContainEqual(expect.stringContaining(said));
});

test.each<[string, string, (world: World) => void]>([
  ["an entry", "6 entry 1-1", (of) => entries(of).set("1-1", { run, tenant: fields(of).tenant! })],
  ["a pending entry that is gone", "6 2-2 of", (of) => pending(of).set("2-2", { consumer: "ann", count: 1 })],
  ["a timer", "6 the timer", (of) => of.sorted.set(key("timers"), new Map([[row(of), 1]]))],
  ["a count of timers", "6 journey@1:pack has 0", (of) => of.hashes.set(key("delayed"), { "journey@1:pack": "1" })],
  ["an index row", "6 is completed, and in", (of) => of.sorted.set(queued(of), new Map([[run, 1]]))],
])("it tells that of an ended run there is left %s: %s", async (_, said, change) => {
  expect(await after(change)).toContainEqual(expect.stringContaining(said));
});

const seen = (seq: number) => (line: Line) => line.what === "saw" && line.run === run && line.seq === seq;
const startedAgain = '1 {"type":"step.started","step":"pack","attempt":2}';
const acknowledged = (line: Line) => line.what === "acknowledged";
const stream = (of: World) => of.streams.get(key("step:journey@1:pack"))!;
const entries = (of: World) => stream(of).entries;
const pending = (of: World) => stream(of).pending;
const row = (of: World) => `wake|retry|${fields(of).tenant}|${run}|journey|1|pack||1-1`;
const queued = (of: World) => key(`runs:${fields(of).tenant}:status:queued`);

function twice(of: World): void {
  of.hashes.set(key("run:other"), fields(of));
  of.lists.set(key("log:other"), log(of));
}

function without(of: World, step: string): void {
  delete fields(of)[`step:${step}`];
  const left = log(of).filter((line) => !line.includes(`"${step}"`));
  of.lists.set(key(`log:${run}`), left);
}
