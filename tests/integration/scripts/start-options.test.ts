import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { newRunId } from "../../../engine/ids.ts";
import { Reply } from "../../../engine/store.ts";
import type { ScriptedRow } from "../../../engine/timer-rows.ts";
import { changes } from "../../support/state.ts";
import { StoreBench, two } from "../../support/store.ts";

const other = newRunId(0);
let bench: StoreBench;
beforeEach(() => {
  bench = new StoreBench();
});
afterEach(() => bench.close());

async function changed(act: () => Promise<unknown>, expected: unknown) {
  const before = await bench.state({ OTHER: other });
  expect(await act()).toEqual(expected);
  return changes(before, await bench.state({ OTHER: other }));
}

/** Has a row come due. */
const due = (row: string) => bench.redis.zadd(bench.keys.timers(), 1, row);

describe("a delayed step that is due", () => {
  test("is in its stream as if the run had started at once", async () => {
    await bench.admit(bench.run, "default", { start: { inMs: 60_000 } });
    await due(`wake|delay|default|${bench.run}|two|1|a||`);
    const { due: rows } = await bench.timers.dueTimers(10);
    expect(await changed(() => bench.timers.promote(rows as ScriptedRow[]), [Reply.Done])).toEqual({
      delayed: { "two@1:a": "0" },
      "run:RUN": expect.objectContaining({ "step:a": "queued 0 0 0 E1 - - 0" }),
      "step:two@1:a": ["E1 run=RUN tenant=default input= failures=0 crashes=0"],
      timers: "gone",
    });
  });

  test("is taken from its timer when its run is cancelled", async () => {
    await bench.admit(bench.run, "default", { start: { inMs: 60_000 } });
    const cancel = () => bench.store.cancel(bench.run, two.graph, "default");
    expect(await changed(cancel, Reply.Done)).toMatchObject({
      delayed: { "two@1:a": "0" },
      "run:RUN": { status: "cancelled", "step:a": "cancelled 0 0 0 - - T 0" },
      timers: "gone",
    });
  });
});

describe("a row that looks after a limit", () => {
  const row = (limit: string): ScriptedRow => {
    return { kind: "expire", run: bench.run, workflow: "two", version: "1", limit };
  };
  const promote = async (limit: string, expected: Reply) => {
    await due(`expire|${bench.run}|two|1|${limit}`);
    return changed(() => bench.timers.promote([row(limit)]), [expected]);
  };

  test("hands a live run on, for its deadline and while it is queued for its ttl", async () => {
    await bench.admit();
    expect(await promote("ttl", Reply.Done)).toEqual({ timers: { "overdue|RUN|two|1|ttl": "T" } });
    expect(await promote("deadline", Reply.Done)).toMatchObject({ timers: { "overdue|RUN|two|1|deadline": "T" } });
  });

  test("is dropped for a run that has started, has ended or is unknown", async () => {
    expect(await promote("ttl", Reply.UnknownRun)).toEqual({ timers: "gone" });
    const entry = await bench.held();
    await bench.commit({ entry, startedAgoMs: 0 });
    expect(await promote("ttl", Reply.Stale)).toEqual({ timers: "gone" });
    await bench.store.cancel(bench.run, two.graph, "default");
    expect(await promote("deadline", Reply.RunEnded)).toEqual({ timers: "gone" });
  });

  test("waits for its time, and is kept where the run's key holds another type", async () => {
    await bench.admit(bench.run, "default", { ttlMs: 60_000 });
    expect(await changed(() => bench.timers.promote([row("ttl")]), [Reply.Already])).toEqual({});
    await bench.redis.set(bench.keys.run(bench.run), "not ours");
    await promote("ttl", Reply.WrongType);
    expect((await bench.timers.dueTimers(10)).due).toEqual([]);
    expect(await bench.redis.zcard(bench.keys.timers())).toBe(1);
  });
});

describe("expire", () => {
  const terms = { ttlMs: 1_000, deadlineMs: 2_000 };
  const expire = (limit: string, run = bench.run) => bench.starts.expire(run, two.graph, limit);
  const late = '{"name":"MillraceError","message":"The run did not start within 1000 ms.","code":"expired"}';
  const long = '{"name":"MillraceError","message":"The run did not end within 2000 ms.","code":"run_deadline"}';

  test("a queued run fails: its entry is gone", async () => {
    await bench.admit(bench.run, "default", terms);
    expect(await changed(() => expire("ttl"), Reply.Done)).toEqual({
      "log:RUN": ['T {"type":"run.queued"}', `T {"type":"run.failed","data":{"error":${late}}}`],
      "run:RUN": expect.objectContaining({
        ...{ status: "failed", endedAt: "T", error: late, "step:a": "cancelled 0 0 0 - - T 0" },
      }),
      "runs:default:status:queued": "gone",
      "runs:default:status:failed": { RUN: "T" },
      "ends:default": ["T RUN two"],
      "step:two@1:a": [],
      timers: "gone",
    });
  });

  test("a run at work fails: its step is pending no more, and its worker is told", async () => {
    await bench.admit(bench.run, "default", terms);
    const [entry] = await bench.take("a");
    await bench.commit({ entry: entry!, startedAgoMs: 0 });
    const heard = new Promise((resolve) => {
      const listener = bench.redis.duplicate();
      listener.on("message", (_, text) => {
        listener.disconnect();
        resolve(text);
      });
      void listener.subscribe(bench.keys.control()).then(() => expire("deadline"));
    });
    expect(await heard).toBe(`expired ${bench.run}`);
    const state = await bench.state();
    expect(state["step:two@1:a"]).toEqual([]);
    expect(state["run:RUN"]).toMatchObject({ status: "failed", error: long, "step:a": "cancelled 1 0 0 - T T 0" });
    expect(state["runs:default:status:running"]).toBeUndefined();
    expect(await bench.commit({ entry: entry!, end: { kind: "release" } })).toBe(Reply.NotOwner);
  });

  test("a run that waits at a timer fails: the row is gone, and counted so", async () => {
    await bench.admit(bench.run, "default", { deadlineMs: 2_000, start: { inMs: 60_000 } });
    expect(await changed(() => expire("deadline"), Reply.Done)).toMatchObject({
      delayed: { "two@1:a": "0" },
      timers: "gone",
    });
  });

  test("a run that has started has kept its ttl, also when it is queued again by a replay", async () => {
    await bench.admit(bench.run, "default", terms);
    const [entry] = await bench.take("a");
    await bench.fail(entry!);
    const letter = `${bench.run}-${entry!.id}`;
    const place = { id: letter, run: bench.run, entry: entry!.id, graph: two.graph, tenant: "default", step: "a" };
    expect(await bench.store.replay(place)).toBe(Reply.Done);
    expect(await changed(() => expire("ttl"), Reply.Stale)).toEqual({});
    await bench.redis.hset(bench.keys.run(bench.run), "trimmed", "4");
    await bench.redis.ltrim(bench.keys.log(bench.run), 4, -1);
    expect(await changed(() => expire("ttl"), Reply.Stale)).toEqual({});
  });

  test("a run that has ended, is unknown or has no such limit is left alone", async () => {
    expect(await changed(() => expire("ttl"), Reply.UnknownRun)).toEqual({});
    await bench.admit(bench.run, "default", { ttlMs: 1 });
    expect(await changed(() => expire("deadline"), Reply.UnknownRun)).toEqual({});
    await bench.store.cancel(bench.run, two.graph, "default");
    expect(await changed(() => expire("ttl"), Reply.RunEnded)).toEqual({});
  });

  test.each(["log", "timers", "delayed", "index", "stream", "ends"])(
    "a key of the wrong type refuses it: %s",
    async (which) => {
      await bench.admit(bench.run, "default", terms);
      const { keys, run, redis } = bench;
      const key = {
        ...{ log: keys.log(run), timers: keys.timers(), delayed: keys.delayed() },
        ...{
          index: keys.runsByStatus("default", "failed"),
          stream: keys.step(two.graph, "b"),
          ends: keys.ends("default"),
        },
      }[which]!;
      await redis.del(key);
      await redis.set(key, "not ours");
      expect(await changed(() => expire("ttl"), Reply.WrongType)).toEqual({});
    },
  );
});

describe("dedupe", () => {
  const dedupe = (run: string, windowMs: number, replaces?: string) =>
    bench.starts.dedupe("default", "hash", run, windowMs, replaces);

  test("the key is the first run's; every later call gets that, and whether its window lasts", async () => {
    const first = await changed(() => dedupe(bench.run, 60_000), { run: bench.run, isNew: true, within: false });
    expect(first).toEqual({
      "dedupe:default:hash": { run: "RUN", until: "T" },
      timers: { "lapse|default|hash|RUN": "T" },
    });
    const again = { run: bench.run, isNew: false, within: true };
    expect(await changed(() => dedupe(other, 60_000), again)).toEqual({});
    expect(await changed(() => dedupe(bench.run, 60_000), again)).toEqual({});
    await bench.redis.hset(bench.keys.dedupe("default", "hash"), "until", 1);
    expect(await dedupe(other, 60_000)).toEqual({ run: bench.run, isNew: false, within: false });
  });

  test("is another's only in the stead of the one that it is of", async () => {
    await dedupe(bench.run, 0);
    expect(await changed(() => dedupe(other, 5, bench.run), { run: other, isNew: true, within: false })).toEqual({
      "dedupe:default:hash": { run: "OTHER", until: "T" },
      timers: { "lapse|default|hash|OTHER": "T" },
    });
    expect(await dedupe(newRunId(0), 5, bench.run)).toMatchObject({ run: other, isNew: false });
  });

  test("a key of the wrong type refuses it", async () => {
    await bench.redis.set(bench.keys.dedupe("default", "hash"), "not ours");
    await expect(dedupe(other, 1)).rejects.toMatchObject({ code: "wrong_type" });
    expect(await bench.redis.exists(bench.keys.timers())).toBe(0);
  });

  describe("lapses", () => {
    const lapse = async (run: string, expected: Reply) => {
      await due(`lapse|default|hash|${run}`);
      return changed(() => bench.timers.promote([{ kind: "lapse", tenant: "default", hash: "hash", run }]), [expected]);
    };

    test("once its run has ended, or never came to be", async () => {
      await dedupe(bench.run, 0);
      expect(await lapse(bench.run, Reply.Done)).toEqual({ "dedupe:default:hash": "gone", timers: "gone" });
    });

    test("not while its run is live", async () => {
      await dedupe(bench.run, 0);
      await bench.admit();
      expect(await lapse(bench.run, Reply.Done)).toEqual({ timers: { "lapse|default|hash|RUN": "T" } });
      const { due: rows, nextMs } = await bench.timers.dueTimers(10);
      expect(rows).toEqual([]);
      expect(nextMs).toBeGreaterThan(50_000);
    });

    test("not when it is another run's by then, nor before its time", async () => {
      await dedupe(bench.run, 0);
      const row: ScriptedRow = { kind: "lapse", tenant: "default", hash: "hash", run: bench.run };
      expect(await changed(() => bench.timers.promote([row]), [Reply.Already])).toEqual({});
      expect(await lapse(other, Reply.Stale)).toEqual({ timers: { "lapse|default|hash|RUN": "T" } });
      expect(await bench.redis.exists(bench.keys.dedupe("default", "hash"))).toBe(1);
    });

    test("later, where a key holds another type", async () => {
      await bench.redis.set(bench.keys.dedupe("default", "hash"), "not ours");
      await lapse(bench.run, Reply.WrongType);
      expect((await bench.timers.dueTimers(10)).due).toEqual([]);
      expect(await bench.redis.get(bench.keys.dedupe("default", "hash"))).toBe("not ours");
    });
  });
});

describe("postpone", () => {
  const window = { key: "k", mode: "debounce" as const, windowMs: 60_000, maxWaitMs: 90_000 };
  const postpone = (wait = window, graph = two.graph) =>
    bench.starts.postpone(bench.run, graph, wait, { input: "2", metadata: "{}" });
  const score = async (row: string) => Number(await bench.redis.zscore(bench.keys.timers(), row));

  test("a run that waits to start: later, with another input, and its limits with it", async () => {
    await bench.admit(bench.run, "default", { start: { inMs: 1_000 }, ttlMs: 5, deadlineMs: 7 });
    expect(await changed(postpone, { reply: Reply.Done, was: '{"n":1}' })).toEqual({
      "run:RUN": expect.objectContaining({ input: "2", metadata: "{}", status: "queued" }),
    });
    const starts = Number(await bench.redis.hget(bench.keys.run(bench.run), "startsAt"));
    expect(starts).toBeGreaterThan(Date.now() + 50_000);
    expect(await score(`wake|delay|default|${bench.run}|two|1|a||`)).toBe(starts);
    expect(await score(`expire|${bench.run}|two|1|ttl`)).toBe(starts + 5);
    expect(await score(`expire|${bench.run}|two|1|deadline`)).toBe(starts + 7);
    expect(await bench.redis.zcard(bench.keys.timers())).toBe(3);
  });

  test("not past the longest wait", async () => {
    await bench.admit(bench.run, "default", { start: { inMs: 1_000 } });
    await postpone({ ...window, maxWaitMs: 60_000 });
    const [made, starts] = await bench.redis.hmget(bench.keys.run(bench.run), "createdAt", "startsAt");
    expect(Number(starts)).toBe(Number(made) + 60_000);
  });

  test("not a run that has started, is of another version, has ended or is unknown", async () => {
    expect(await changed(postpone, { reply: Reply.UnknownRun })).toEqual({});
    await bench.admit(bench.run, "default", { start: { inMs: 60_000 } });
    const newer = { ...two.graph, version: 2 };
    expect(await changed(() => postpone(window, newer), { reply: Reply.Stale })).toEqual({});
    await due(`wake|delay|default|${bench.run}|two|1|a||`);
    await bench.timers.promote((await bench.timers.dueTimers(10)).due as ScriptedRow[]);
    expect(await changed(postpone, { reply: Reply.Stale })).toEqual({});
    await bench.store.cancel(bench.run, two.graph, "default");
    expect(await changed(postpone, { reply: Reply.RunEnded })).toEqual({});
  });

  test("not a step whose timer row is gone", async () => {
    await bench.admit(bench.run, "default", { start: { inMs: 60_000 } });
    await bench.redis.del(bench.keys.timers());
    expect(await changed(postpone, { reply: Reply.Stale })).toEqual({});
  });

  test("a key of the wrong type refuses it", async () => {
    await bench.redis.set(bench.keys.run(bench.run), "not ours");
    await expect(postpone()).rejects.toMatchObject({ code: "wrong_type" });
  });
});

test("an idempotency key can be made to stand for the run that came of its call", async () => {
  const reserve = (run: string, instead?: string) => bench.store.reserve("default", "hash", "digest", run, instead);
  await reserve(bench.run);
  expect(await changed(() => reserve(other, bench.run), other)).toEqual({
    "once:default:hash": { run: "OTHER", digest: "digest" },
  });
  expect(await reserve(newRunId(0), bench.run)).toBe(other);
  expect(await reserve(newRunId(0))).toBe(other);
});
