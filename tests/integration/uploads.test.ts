import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FsBlobStore } from "../../engine/blobs/fs.ts";
import { internalsOf } from "../../engine/connect.ts";
import { bodyOf, type HeldUpload, type UploadView } from "../../engine/index.ts";
import { UploadStore } from "../../engine/store/upload-store.ts";
import { type TestKit, testKit } from "../../engine/testing/index.ts";
import { blobFiles } from "../support/blob-files.ts";
import { eventually } from "../support/gateway.ts";
import { kitOptions } from "../support/kit.ts";
import { leftovers, rawRedis, redisUrl } from "../support/redis.ts";
import { temporaryDir } from "../support/run.ts";
import { two } from "../support/store.ts";

const MINUTE = 60_000;
const tenant = "default";
let kit: TestKit;
let dir: string;
let store: UploadStore;
let namespace: string;
beforeAll(async () => {
  dir = await temporaryDir();
  kit = await testKit([two], { ...kitOptions(), blobs: new FsBlobStore(dir) });
  const { client, store: runs } = internalsOf(kit.millrace);
  store = new UploadStore(client, runs.partitions);
  ({ namespace } = runs.keys);
});
afterAll(() => kit.close());

const files = () => blobFiles(dir);
async function begun(length: number | undefined): Promise<string> {
  const { uploads } = kit.millrace;
  return (await uploads.create({ tenant, length, metadata: "", keptMs: 10 * MINUTE, most: 100 })).view.id;
}
async function held(id: string, at: { offset?: number } = {}): Promise<HeldUpload> {
  const taken = await kit.millrace.uploads.hold(tenant, id, { keptMs: 10 * MINUTE, ...at });
  if (!("append" in taken)) throw new Error("It is complete.");
  return taken;
}
async function append(id: string, text: string): Promise<UploadView> {
  const own = await held(id);
  try {
    await own.append(bodyOf(text));
    return own.view;
  } finally {
    await own.release();
  }
}
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "nothing was thrown",
    (error: { code?: string }) => error.code,
  );
/** The keys that are left of it. */
const keysOf = async (id: string) =>
  (await leftovers(redisUrl, namespace)).filter((key) => key.includes(id)).concat(await rows(id));
async function rows(id: string): Promise<string[]> {
  const timers = (await leftovers(redisUrl, namespace)).filter((key) => key.endsWith(":timers"));
  const found = await Promise.all(timers.map((key) => rawRedis().zrange(key, "0", "-1")));
  return found.flat().filter((row) => row.includes(id));
}

describe("an upload that nobody goes on with", () => {
  test("is kept while bytes come, and is then gone with its parts", async () => {
    const before = await files();
    const id = await begun(100);
    expect(await keysOf(id)).toHaveLength(2);
    await append(id, "hello");
    await kit.clock.advance(9 * MINUTE);
    await append(id, "world");
    await kit.clock.advance(9 * MINUTE);
    expect(await kit.millrace.uploads.get(tenant, id)).toMatchObject({ offset: 10, status: "open" });
    await kit.clock.advance(2 * MINUTE);
    expect(await codeOf(kit.millrace.uploads.get(tenant, id))).toMatch(/^(upload_gone|not_found)$/);
    expect(await files()).toEqual(before);
    await kit.clock.advance(2 * MINUTE);
    expect(await keysOf(id)).toEqual([]);
  });

  test("is gone with what a process that died had not counted yet", async () => {
    const before = await files();
    const id = await begun(100);
    await kit.millrace.blobs.put({ tenant, run: id, name: "part", type: "" }, bodyOf("lost"));
    expect(await files()).not.toEqual(before);
    await kit.clock.advance(13 * MINUTE);
    expect(await files()).toEqual(before);
  });

  test("that was deleted is looked at again, for what came late", async () => {
    const before = await files();
    const id = await begun(100);
    await kit.millrace.uploads.delete(tenant, id);
    await kit.millrace.blobs.put({ tenant, run: id, name: "part", type: "" }, bodyOf("late"));
    await kit.clock.advance(2 * MINUTE);
    expect(await files()).toEqual(before);
    expect(await keysOf(id)).toEqual([]);
  });

  test("that is complete loses the parts that are left, then its record, and never its document", async () => {
    const before = await files();
    const id = await begun(5);
    const own = await held(id);
    await own.append(bodyOf("hello"));
    const document = await kit.millrace.blobs.put({ tenant, name: "a", type: "text/plain" }, own.content());
    await own.complete(document);
    await kit.millrace.blobs.put({ tenant, run: id, name: "part", type: "" }, bodyOf("late"));
    await kit.clock.advance(2 * MINUTE);
    expect(await files()).toHaveLength(before.length + 2);
    expect(await kit.millrace.uploads.get(tenant, id)).toMatchObject({ status: "complete", document: { size: 5 } });
    await kit.clock.advance(12 * MINUTE);
    expect(await keysOf(id)).toEqual([]);
    expect(await kit.millrace.blobs.find(tenant, document.id)).toMatchObject({ size: 5 });
    await kit.millrace.blobs.delete(tenant, document.id);
    expect(await files()).toEqual(before);
  });
});

test("many small parts become few, in their order", async () => {
  const id = await begun(undefined);
  const texts = Array.from({ length: 100 }, (_, i) => `part ${i};`);
  const before = (await files()).length;
  const own = await held(id);
  for (const text of texts) await own.append(bodyOf(text));
  let whole = "";
  for await (const chunk of own.content()) whole += new TextDecoder().decode(chunk);
  expect(whole).toBe(texts.join(""));
  // Each is a file with another beside it, and one that says whose it is.
  expect((await files()).length - before).toBeLessThan(3 * 40);
  await own.release();
  await kit.millrace.uploads.delete(tenant, id);
  expect(await files()).toHaveLength(before);
});

describe("who holds an upload", () => {
  test("ends when another asks for it", async () => {
    const id = await begun(100);
    const first = await held(id);
    const ended = new Promise((resolve) => first.signal.addEventListener("abort", resolve));
    void ended.then(() => first.release());
    const second = await held(id);
    await ended;
    expect(await codeOf(first.append(bodyOf("late")))).toBe("upload_busy");
    await second.append(bodyOf("hello"));
    expect(second.view.offset).toBe(5);
    await second.release();
  });

  test("and has died is waited for no longer than its lease", async () => {
    const id = await begun(100);
    await store.hold({ tenant, id }, "take", "of the dead", 300);
    expect((await append(id, "hello")).offset).toBe(5);
  });

  test("and stood still meanwhile adds nothing, and leaves nothing", async () => {
    const id = await begun(100);
    const before = await files();
    const first = await held(id);
    const [key] = await keysOf(id);
    await rawRedis().hset(key!, "holder", "another");
    expect(await codeOf(first.append(bodyOf("late")))).toBe("upload_busy");
    await eventually(files, (now) => now.length === before.length);
    await eventually(async () => first.signal.aborted, Boolean);
    await first.release();
    await rawRedis().hdel(key!, "holder");
    expect(await codeOf(held(id, { offset: 4 }))).toBe("upload_offset");
  });
});
