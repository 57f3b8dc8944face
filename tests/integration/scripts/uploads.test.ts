import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ENDED_MS, type UploadPart, UploadStore } from "../../../engine/store/upload-store.ts";
import { Reply } from "../../../engine/store.ts";
import { changes } from "../../support/state.ts";
import { StoreBench } from "../../support/store.ts";

let bench: StoreBench;
let uploads: UploadStore;
beforeEach(() => {
  bench = new StoreBench();
  uploads = new UploadStore(bench.client, bench.store.partitions);
});
afterEach(() => bench.close());

const which = { tenant: "default", id: "U" };
const DAY = 86_400_000;
const KEY = "upload:default:U";
const ROW = { timers: { "upload|default|U": "T" } };
const OPEN = { "uploads:default": { U: "T" } };
const NEW = {
  ...{ state: "open", offset: "0", parts: "0", length: "10", metadata: "m", digest: "d" },
  ...{ createdAt: "T", expiresAt: "T" },
};

async function change<R>(act: () => Promise<R>): Promise<{ told: R; changed: Record<string, unknown> }> {
  const before = await bench.state();
  const told = await act();
  return { told, changed: changes(before, await bench.state()) };
}

const create = (of: { length?: number | undefined; digest?: string } = {}, most = 2) =>
  uploads.create(which, { length: 10, metadata: "m", digest: "d", ...of }, { keptMs: DAY, most });
const take = (token = "ann", at: { offset?: number; length?: number } = {}, leaseMs = 60_000) =>
  uploads.hold(which, "take", token, leaseMs, at);
const keep = (token = "ann") => uploads.hold(which, "keep", token, 60_000);
const put = (part: UploadPart, parts: number, { token = "ann", stay = parts } = {}) =>
  uploads.putPart(which, token, { ...part, parts, stay, keptMs: DAY });
/** Its lease is over. */
const lapse = () => bench.redis.hset(bench.keys.upload("default", "U"), "until", 1);

describe("create-upload", () => {
  test("it is stored, listed and armed", async () => {
    expect(await change(create)).toEqual({ told: true, changed: { [KEY]: NEW, ...OPEN, ...ROW } });
    const due = Number(await bench.redis.zscore(bench.keys.timers(), "upload|default|U"));
    expect(due).toBeGreaterThan(Date.now() + DAY - 60_000);
  });

  test("again it is the same, and another is refused", async () => {
    await create();
    expect(await change(create)).toEqual({ told: false, changed: {} });
    await expect(create({ digest: "e" })).rejects.toMatchObject({ code: "idempotency_mismatch" });
  });

  test("no more than so many are open; those that have expired do not count", async () => {
    await bench.redis.zadd(bench.keys.uploads("default"), Date.now() + 60_000, "A", 1, "B");
    await create({}, 2);
    const refused = uploads.create(
      { ...which, id: "V" },
      { length: 1, metadata: "", digest: "" },
      { keptMs: 1, most: 2 },
    );
    await expect(refused).rejects.toMatchObject({ code: "too_many_uploads" });
  });
});

describe("hold-upload", () => {
  const HELD = { ...NEW, holder: "ann", until: "T" };

  test("it is taken, kept and given up", async () => {
    await create();
    const taken = await change(take);
    expect(taken.told).toMatchObject({ reply: Reply.Done, isWanted: false });
    expect(taken.told!.upload).toEqual({
      ...{ state: "open", offset: 0, length: 10, parts: 0, metadata: "m", expiresAt: expect.any(Number) },
      ...{ document: undefined, run: undefined },
    });
    expect(taken.changed).toEqual({ [KEY]: HELD });
    await lapse();
    expect(await keep()).toMatchObject({ reply: Reply.Done, isWanted: false });
    expect((await change(() => uploads.release(which, "bob"))).changed).toEqual({});
    expect((await change(() => uploads.release(which, "ann"))).changed).toEqual({ [KEY]: NEW });
  });

  test("another is refused, and its wish is told to the holder; after the lease it takes it", async () => {
    await create();
    await take();
    const refused = await change(() => take("bob"));
    expect([refused.told!.reply, refused.changed]).toEqual([Reply.NotOwner, { [KEY]: { ...HELD, wanted: "bob" } }]);
    expect(await keep()).toMatchObject({ reply: Reply.Done, isWanted: true });
    await lapse();
    const taken = await change(() => take("bob"));
    expect([taken.told!.reply, taken.changed]).toEqual([Reply.Done, { [KEY]: { ...HELD, holder: "bob" } }]);
    expect((await change(keep)).told).toMatchObject({ reply: Reply.NotOwner });
  });

  test("what was given up is not taken by keeping it", async () => {
    await create();
    expect(await change(keep)).toMatchObject({ told: { reply: Reply.NotOwner }, changed: {} });
  });

  test.each([
    ["behind", 4, Reply.Stale],
    ["there", 5, Reply.Done],
    ["further on", 6, Reply.Stale],
  ])("by one that is %s", async (_, offset, reply) => {
    await create();
    await take();
    await put({ blob: "B", size: 5 }, 0);
    await uploads.release(which, "ann");
    expect((await take("bob", { offset }))!.reply).toBe(reply);
  });

  test("one that is behind disturbs nobody, nor does one that is further on", async () => {
    await create();
    await take();
    await put({ blob: "B", size: 5 }, 0);
    expect(await change(() => take("bob", { offset: 4 }))).toMatchObject({ told: { reply: Reply.Stale }, changed: {} });
    expect(await change(() => take("bob", { offset: 6 }))).toMatchObject({
      told: { reply: Reply.NotOwner },
      changed: {},
    });
  });

  test("a length that was not known is kept, and is not another later", async () => {
    await create({ length: undefined });
    const taken = await change(() => take("ann", { length: 7 }));
    expect(taken.told!.upload.length).toBe(7);
    expect(taken.changed).toEqual({ [KEY]: { ...HELD, length: "7" } });
    expect((await take("bob", { length: 8 }))!.reply).toBe(Reply.Stale);
  });

  test("to look takes nothing", async () => {
    expect(await uploads.hold(which, "look", "", 0)).toBeUndefined();
    await create();
    await take();
    const looked = await change(() => uploads.hold(which, "look", "", 0));
    expect(looked).toMatchObject({ told: { reply: Reply.Done, upload: { offset: 0 } }, changed: {} });
  });

  test("one that has expired is gone, but for who holds it", async () => {
    await create();
    await take();
    await bench.redis.hset(bench.keys.upload("default", "U"), "expiresAt", 1);
    expect((await take("bob"))!.reply).toBe(Reply.RunEnded);
    expect((await keep())!.reply).toBe(Reply.Done);
  });
});

describe("put-part", () => {
  beforeEach(async () => {
    await create();
    await take();
  });
  const HELD = { ...NEW, holder: "ann", until: "T" };

  test("parts are counted one after the other, each once", async () => {
    const one = { blob: "B1", size: 4 };
    const first = await change(() => put(one, 0));
    expect(first).toEqual({
      told: { offset: 4, expiresAt: expect.any(Number) },
      changed: { [KEY]: { ...HELD, "part:0": "B1 4", parts: "1", offset: "4" } },
    });
    expect(await change(() => put(one, 0))).toEqual({ told: first.told, changed: {} });
    await put({ blob: "B2", size: 6 }, 1);
    expect(await uploads.parts(which, 0, 2)).toEqual([one, { blob: "B2", size: 6 }]);
  });

  test("one takes the place of several, whose bytes it has", async () => {
    for (const [i, size] of [1, 2, 3].entries()) await put({ blob: `B${i}`, size }, i);
    const { told, changed } = await change(() => put({ blob: "J", size: 5 }, 3, { stay: 1 }));
    expect(told).toMatchObject({ offset: 6 });
    expect(changed).toEqual({ [KEY]: { ...HELD, "part:0": "B0 1", "part:1": "J 5", parts: "2", offset: "6" } });
  });

  test.each<[string, () => Promise<unknown>]>([
    ["of another holder", () => put({ blob: "B", size: 1 }, 0, { token: "bob" })],
    ["behind others than there are", () => put({ blob: "B", size: 1 }, 1)],
    ["beyond its length", () => put({ blob: "B", size: 11 }, 0)],
  ])("one %s does not count", async (_, act) => {
    expect(await change(act)).toEqual({ told: undefined, changed: {} });
  });
});

describe("complete-upload", () => {
  const COMPLETE = { ...NEW, state: "complete", document: "{}", parts: "1", offset: "10" };
  beforeEach(async () => {
    await create();
    await take();
    await put({ blob: "B", size: 10 }, 0);
  });

  test("it is complete, and open no more; its row is due soon", async () => {
    const { told, changed } = await change(() => uploads.complete(which, "ann", "{}", DAY));
    expect([told, changed]).toEqual([true, { [KEY]: COMPLETE, "uploads:default": "gone" }]);
    expect(Number(await bench.redis.zscore(bench.keys.timers(), "upload|default|U"))).toBeLessThan(
      Date.now() + 120_000,
    );
    expect(await change(() => uploads.complete(which, "ann", "{}", DAY))).toEqual({ told: true, changed: {} });
    expect(await take("bob")).toMatchObject({ reply: Reply.Already, upload: { document: "{}" } });
  });

  test("not by one that does not hold it", async () => {
    expect(await change(() => uploads.complete(which, "bob", "{}", DAY))).toEqual({ told: false, changed: {} });
  });

  test("the first run that is noted stays, and none is before it is complete", async () => {
    expect((await change(() => uploads.noteRun(which, "R"))).changed).toEqual({});
    await uploads.complete(which, "ann", "{}", DAY);
    expect((await change(() => uploads.noteRun(which, "R"))).changed).toEqual({ [KEY]: { ...COMPLETE, run: "R" } });
    expect((await change(() => uploads.noteRun(which, "S"))).changed).toEqual({});
  });
});

describe("end-upload", () => {
  const GONE = { ...NEW, state: "gone", endedAt: "T" };

  test("by wish: nobody holds it any more, and its row is due when its record may go", async () => {
    await create();
    await take();
    const { told, changed } = await change(() => uploads.end(which, "wish"));
    expect(told).toEqual({ ended: true, inMs: ENDED_MS, state: "gone" });
    expect(changed).toEqual({ [KEY]: GONE, "uploads:default": "gone" });
    expect(Number(await bench.redis.zscore(bench.keys.timers(), "upload|default|U"))).toBeLessThan(
      Date.now() + 120_000,
    );
    expect((await keep())!.reply).toBe(Reply.RunEnded);
    expect(await put({ blob: "B", size: 1 }, 0)).toBeUndefined();
    const again = await change(() => uploads.end(which, "wish"));
    expect([again.told!.inMs <= ENDED_MS, again.changed]).toEqual([true, {}]);
    await bench.redis.hset(bench.keys.upload("default", "U"), "endedAt", 1);
    expect(await uploads.end(which, "expiry")).toMatchObject({ ended: true, inMs: 0 });
    await uploads.forget(which);
    expect(await uploads.end(which, "expiry")).toBeUndefined();
  });

  test("by its time: not before that, and not while it is held", async () => {
    await create();
    const early = await change(() => uploads.end(which, "expiry"));
    expect([early.told!.ended, early.told!.inMs > DAY - 60_000, early.changed]).toEqual([false, true, {}]);
    await take();
    await bench.redis.hset(bench.keys.upload("default", "U"), "expiresAt", 1);
    const held = await change(() => uploads.end(which, "expiry"));
    expect([held.told!.ended, held.told!.inMs > 0 && held.told!.inMs <= 60_000, held.changed]).toEqual([
      false,
      true,
      {},
    ]);
    await lapse();
    expect((await uploads.end(which, "expiry"))!.ended).toBe(true);
  });
});

test.each([
  ["create-upload", () => create(), ["upload", "uploads", "timers"]],
  ["hold-upload", () => take(), ["upload"]],
  ["put-part", () => put({ blob: "B", size: 1 }, 0), ["upload", "uploads"]],
  ["complete-upload", () => uploads.complete(which, "ann", "{}", 1), ["upload", "uploads", "timers"]],
  ["end-upload", () => uploads.end(which, "wish"), ["upload", "uploads", "timers"]],
] as const)("a key of the wrong type is left alone by %s", async (_, act, keys) => {
  for (const key of keys) {
    const at = {
      upload: bench.keys.upload("default", "U"),
      uploads: bench.keys.uploads("default"),
      timers: bench.keys.timers(),
    };
    await bench.redis.del(at[key]);
    await bench.redis.set(at[key], "not ours");
    const before = await bench.state();
    await expect(act()).rejects.toMatchObject({ code: "wrong_type" });
    expect(await bench.state()).toEqual(before);
    await bench.redis.del(at[key]);
  }
});
