import type { ChainableCommander, Redis } from "ioredis";
import type { PartitionKeys } from "../../../engine/keys.ts";
import { parseTimerRow } from "../../../engine/timer-rows.ts";
import { isCluster } from "../redis.ts";
import type { ModelBench } from "./bench.ts";
import type { Shown, ShownRun } from "./shown.ts";
import type { ModelRun } from "./state.ts";

const STATUSES = ["queued", "running", "waiting", "completed", "failed", "cancelled"];
const ENDED = ["completed", "failed", "cancelled", "skipped"];
const ENTRY_ID = /^\d+-\d+$/;

/** Where each thing is, so that a place can be looked up. */
interface Found {
  /** `WORKFLOW:STEP ENTRY`, and what the entry is of. */
  entries: Map<string, string>;
  timers: Set<string>;
  letters: Set<string>;
}

type Fields = Record<string, string>;

/** Reads a namespace past the engine, all at once, as `shownModel` shows the model. */
export async function shownRedis({ redis, keys, streams }: ModelBench, runs: readonly ModelRun[]): Promise<Shown> {
  const ask = new Asking();
  const timers = ask.for<string[]>((asked) => asked.zrange(keys.timers(), "0", "-1"));
  const delayed = ask.for<Fields>((asked) => asked.hgetall(keys.delayed()));
  const letterIds = ask.for<number>((asked) => asked.zcard(keys.deadLetters("default")));
  const indexes = STATUSES.map((status) =>
    ask.for<string[]>((asked) => asked.zrange(keys.runsByStatus("default", status), "0", "-1")),
  );
  const held = [...streams].map(([name, { key, graph, step }]) => ({
    name,
    entries: ask.for<[string, string[]][]>((asked) => asked.xrange(key, "-", "+")),
    pending: ask.for<[string, string, number, number][]>((asked) => asked.xpending(key, "workers", "-", "+", 1_000)),
    dead: ask.for<[string, string[]][]>((asked) => asked.xrange(keys.dead(graph, step.name), "-", "+")),
  }));
  const hashes = runs.map((run) => ask.ofRun(run, keys));
  await ask.go(redis);

  const shown: Shown = {
    runs: {},
    streams: {},
    timers: [],
    delayed: {},
    letters: {},
    letterIds: letterIds(),
    indexes: {},
  };
  const found: Found = { entries: new Map(), timers: new Set(timers()), letters: new Set() };
  for (const { name, entries, pending, dead } of held) {
    const owners = new Map(pending().map(([id, consumer, , count]) => [id, `${consumer} ${count}`]));
    const lines = entries().map(([id, flat]) => {
      const { run, item, wake = "-", failures = 0, crashes = 0, input } = fieldsOf(flat);
      const of = `${run} ${named(name, item)}`;
      found.entries.set(`${name} ${id}`, of);
      const owner = owners.get(id) ?? "waits";
      owners.delete(id);
      return `${of} ${wake} ${failures} ${crashes} ${input || "-"} ${owner}`;
    });
    for (const [id, owner] of owners) lines.push(`${id} is pending for ${owner} and not there`);
    if (lines.length > 0) shown.streams[name] = lines;
    const letters = dead().map(([id, flat]) => {
      const { run, item, attempt } = fieldsOf(flat);
      found.letters.add(`${name} ${id}`);
      return `${run} ${named(name, item)} ${attempt}`;
    });
    if (letters.length > 0) shown.letters[name] = letters;
  }
  shown.timers = timers().map((member) => {
    const row = parseTimerRow(member);
    return row?.kind === "wake" ? `${row.reason} ${row.run} ${named(`:${row.step}`, row.item || undefined)}` : member;
  });
  shown.timers.sort();
  for (const [field, count] of Object.entries(delayed()))
    if (count !== "0") shown.delayed[field.replace("@1", "")] = Number(count);
  for (const [i, status] of STATUSES.entries())
    if (indexes[i]!().length > 0) shown.indexes[status] = indexes[i]!().sort();
  for (const [i, run] of runs.entries()) shown.runs[run.id] = shownRun(run, hashes[i]!, found);
  return shown;
}

/** Everything of a run, as it is read. */
interface Held {
  fields: () => Fields;
  log: () => string[];
  items: Map<string, { live: () => Fields; chunk: () => Fields }>;
}

function shownRun({ id, shape }: ModelRun, { fields, log, items }: Held, found: Found): ShownRun {
  const run = fields();
  const shown: ShownRun = {
    status: run.status!,
    steps: {},
    items: {},
    outputs: {},
    signalled: {},
    log: log().map(lineOf),
  };
  // The scripts of progress tell the mean of a map's items when its time has come.
  shown.log = shown.log.filter((line) => !line.startsWith("step.progress"));
  if (ENDED.includes(run.status!) !== (run.endedAt !== undefined)) shown.status += ` with endedAt ${run.endedAt}`;
  if (run.active !== undefined && !ENDED.includes(run.status!)) shown.active = Number(run.active);
  for (const [field, value] of Object.entries(run)) {
    const [kind, step] = field.split(":");
    const name = `${shape.definition.name}:${step}`;
    if (kind === "step") shown.steps[step!] = shownRecord(value, id, name, undefined, found);
    if (kind === "output") shown.outputs[step!] = value;
    if (kind === "signalled") shown.signalled[step!] = value;
    if (kind !== "items") continue;
    const [total, begun, done, failed] = value.split(" ");
    const live: Record<string, string> = {};
    for (const [item, record] of Object.entries(items.get(step!)!.live()))
      if (/^\d+$/.test(item)) live[item] = shownRecord(record, id, name, item, found);
    const outputs = Object.entries(items.get(step!)!.chunk()).filter(([item]) => /^\d+$/.test(item));
    shown.items[step!] = { counts: `${total} ${begun} ${done} ${failed}`, live, outputs: Object.fromEntries(outputs) };
  }
  return shown;
}

/** A record, with the kind of its place; what is said to be somewhere and is not there is shown so. */
function shownRecord(record: string, run: string, name: string, item: string | undefined, found: Found): string {
  const [status, attempt, failures, crashes, place = "", , ended] = record.split(" ");
  let kind = place;
  if (ENTRY_ID.test(place)) {
    const of = found.entries.get(`${name} ${place}`);
    kind = of === `${run} ${named(name, item)}` ? "entry" : `${place}, which is ${of ?? "not there"}`;
  } else if (place.startsWith("timer:")) kind = found.timers.has(place.slice(6)) ? "timer" : `${place}, not set`;
  else if (place.startsWith("dead:"))
    kind = found.letters.has(`${name} ${place.slice(5)}`) ? "letter" : "letter that is gone";
  if (ENDED.includes(status!) !== (ended !== "-")) kind += ` ended ${ended}`;
  return `${status} ${attempt} ${failures} ${crashes} ${kind}`;
}

/** A line of the log without its time; one that cannot be read as it is. */
function lineOf(line: string): string {
  const { type, step, item, attempt } = JSON.parse(line.slice(line.indexOf(" ") + 1));
  const of = step === undefined ? "" : ` ${item === undefined ? step : `${step}#${item}`}`;
  return `${type}${of}${attempt === undefined ? "" : ` ${attempt}`}`;
}

function named(name: string, item: string | undefined): string {
  const step = name.slice(name.indexOf(":") + 1);
  return item === undefined ? step : `${step}#${item}`;
}

function fieldsOf(flat: readonly string[]): Partial<Fields> {
  const fields: Fields = {};
  for (let i = 0; i + 1 < flat.length; i += 2) fields[flat[i]!] = flat[i + 1]!;
  return fields;
}

type Ask = (asked: Redis | ChainableCommander) => unknown;

/** Many reads at once. */
class Asking {
  readonly #asks: Ask[] = [];
  #replies: readonly unknown[] = [];

  for<T>(ask: Ask): () => T {
    const at = this.#asks.push(ask) - 1;
    return () => this.#replies[at] as T;
  }

  ofRun({ id, shape }: ModelRun, keys: PartitionKeys): Held {
    const items: Held["items"] = new Map();
    for (const step of Object.keys(shape.items)) {
      const live = this.for<Fields>((asked) => asked.hgetall(keys.items(id, step)));
      items.set(step, { live, chunk: this.for<Fields>((asked) => asked.hgetall(keys.chunk(id, step, 0))) });
    }
    const fields = this.for<Fields>((asked) => asked.hgetall(keys.run(id)));
    return { fields, log: this.for<string[]>((asked) => asked.lrange(keys.log(id), 0, -1)), items };
  }

  async go(redis: Redis): Promise<void> {
    // Of a slot on the move, ioredis would send all of a pipeline to where one key has gone.
    if (isCluster) {
      this.#replies = await Promise.all(this.#asks.map((ask) => ask(redis)));
      return;
    }
    const pipeline = redis.pipeline();
    for (const ask of this.#asks) ask(pipeline);
    this.#replies = (await pipeline.exec())!.map(([error, reply]) => {
      if (error) throw error;
      return reply;
    });
  }
}
