import { readdir } from "node:fs/promises";
import { beforeEach, describe, expect, test } from "vitest";
import { FsBlobStore } from "../../engine/blobs/fs.ts";
import { newRunId } from "../../engine/ids.ts";
import { bodyOf, readBlob } from "../../engine/index.ts";
import { temporaryDir } from "../support/run.ts";

let dir: string;
let blobs: FsBlobStore;
beforeEach(async () => {
  dir = await temporaryDir();
  blobs = new FsBlobStore(dir);
});

const tenant = "default";
const put = async (name: string, run?: string) => {
  const source = { tenant, name, type: "text/plain", ...(run === undefined ? {} : { run }) };
  return (await blobs.put(source, bodyOf(name))).id;
};
const text = async (id: string) => new TextDecoder().decode(await readBlob(blobs, tenant, id));
const files = async () =>
  (await readdir(dir, { recursive: true, withFileTypes: true })).filter((each) => each.isFile());

describe("what belongs to a run", () => {
  test("goes with it; what belongs to another or to none stays", async () => {
    const [mine, other] = [newRunId(0), newRunId(0)];
    const gone = [await put("one", mine), await put("two", mine)];
    const kept = [await put("theirs", other), await put("uploaded")];
    await blobs.deleteOf(tenant, mine);
    for (const id of gone) expect(await blobs.find(tenant, id)).toBeUndefined();
    expect(await Promise.all(kept.map(text))).toEqual(["theirs", "uploaded"]);
    await blobs.deleteOf(tenant, mine);
    await blobs.deleteOf(tenant, other);
    // The bytes of the uploaded one, their name by their digest, and what is known of it.
    expect(await files()).toHaveLength(3);
  });

  test("stays until the last run is gone that it is shared with, whichever goes first", async () => {
    const [first, second, third] = [newRunId(0), newRunId(0), newRunId(0)];
    const id = await put("shared", first);
    await blobs.share(tenant, first, second);
    await blobs.share(tenant, first, second);
    await blobs.share(tenant, second, third);
    for (const run of [second, first]) {
      await blobs.deleteOf(tenant, run);
      expect(await text(id)).toBe("shared");
    }
    await blobs.deleteOf(tenant, third);
    expect(await files()).toEqual([]);
  });

  test("may have been deleted before", async () => {
    const run = newRunId(0);
    await blobs.delete(tenant, await put("early", run));
    await blobs.deleteOf(tenant, run);
    expect(await files()).toEqual([]);
    await blobs.share(tenant, run, newRunId(0));
    expect(await files()).toEqual([]);
  });

  test("is not looked for outside of the store", async () => {
    await expect(blobs.deleteOf(tenant, "../..")).rejects.toMatchObject({ code: "bad_run" });
    await expect(blobs.deleteOf("..", newRunId(0))).rejects.toMatchObject({ code: "bad_tenant" });
    await expect(blobs.share(tenant, "a/b", newRunId(0))).rejects.toMatchObject({ code: "bad_run" });
  });
});
