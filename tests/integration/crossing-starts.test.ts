import { readdir } from "node:fs/promises";
import * as v from "valibot";
import { afterEach, beforeEach, expect, test } from "vitest";
import { FsBlobStore } from "../../engine/blobs/fs.ts";
import { startDeduped } from "../../engine/dedupe.ts";
import { newRunId } from "../../engine/ids.ts";
import { UnavailableError, workflow } from "../../engine/index.ts";
import { Reply } from "../../engine/store.ts";
import { engineUnderTest } from "../support/engine-under-test.ts";
import { temporaryDir } from "../support/run.ts";
import { StoreBench, two } from "../support/store.ts";

const dedupe = { key: "k", mode: "debounce" as const, windowMs: 60_000, maxWaitMs: 600_000 };
let bench: StoreBench;
beforeEach(() => {
  bench = new StoreBench();
});
afterEach(() => bench.close());

/** A start with this input, before whose admission something else happens. */
function start(input: string, before: (id: string) => Promise<unknown> = async () => {}) {
  const { store, starts } = bench;
  return startDeduped(starts, {
    ...{ dedupe, hash: "h", tenant: "default", id: newRunId(0), newId: () => newRunId(0) },
    async admit(id) {
      await before(id);
      return store.admit({ id, graph: two.graph, tenant: "default", input, terms: { start: { inMs: 60_000 } } });
    },
    postpone: async (id) => (await starts.postpone(id, two.graph, dedupe, { input })).reply,
  });
}
const inputOf = (id: string) => bench.redis.hget(bench.keys.run(id), "input");

test("a start that another came before between its key and its run still has the last input", async () => {
  let other: { id: string; created: boolean } | undefined;
  const mine = await start("1", async () => {
    other ??= await start("2");
  });
  expect(other).toMatchObject({ id: mine.id, created: true });
  expect(mine.created).toBe(false);
  expect(await inputOf(mine.id)).toBe("1");
});

test("a start whose key's run was made and over before it came to that makes a run of its own", async () => {
  let other: { id: string; created: boolean } | undefined;
  const mine = await start("1", async () => {
    if (other !== undefined) return;
    other = await start("2");
    await bench.store.cancel(other.id, two.graph, "default");
  });
  expect(mine.created).toBe(true);
  expect(mine.id).not.toBe(other!.id);
  expect(await inputOf(mine.id)).toBe("1");
});

test("a start that never gets its turn gives up, and can be made again", async () => {
  const asked = { dedupe, hash: "h", tenant: "default", id: newRunId(0), newId: () => newRunId(0) };
  const crowded = startDeduped(bench.starts, { ...asked, admit: async () => false, postpone: async () => Reply.Stale });
  await expect(crowded).rejects.toThrow(UnavailableError);
});

test("a large input that is replaced leaves the blob store", async () => {
  const dir = await temporaryDir();
  const big = workflow("big", { input: v.string() }).step("size", (text) => text.length);
  await using engine = await engineUnderTest([big], { blobs: new FsBlobStore(dir) });
  const options = { dedupe: { key: "k", mode: "debounce", windowMs: 60_000 } } as const;
  const inputs = ["a", "b", "c"].map((letter) => letter.repeat(40_000));
  const files = async () =>
    (await readdir(dir, { recursive: true, withFileTypes: true })).filter((each) => each.isFile());
  const { id } = await engine.millrace.runs.start(big, inputs[0], options);
  const before = (await files()).length;
  expect(before).toBeGreaterThan(0);
  for (const input of inputs.slice(1)) await engine.millrace.runs.start(big, input, options);
  expect((await engine.millrace.runs.get(id)).input).toBe(inputs[2]);
  expect(await files()).toHaveLength(before);
});
