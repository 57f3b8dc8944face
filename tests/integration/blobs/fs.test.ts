import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { FsBlobStore } from "../../../engine/blobs/fs.ts";
import { blobContract } from "../../support/blob-contract.ts";
import { temporaryDir } from "../../support/run.ts";

blobContract(async () => {
  const dir = await temporaryDir();
  const files = async () => {
    const all = await readdir(dir, { recursive: true, withFileTypes: true });
    return all.filter((each) => each.isFile()).map((each) => join(each.parentPath, each.name));
  };
  return {
    blobs: new FsBlobStore(dir),
    other: new FsBlobStore(dir),
    kept: files,
    async keptBytes() {
      const contents = (await files()).filter((path) => !path.endsWith(".json"));
      const found = await Promise.all(contents.map((path) => stat(path)));
      return [...new Map(found.map(({ ino, size }) => [ino, size])).values()].reduce((sum, size) => sum + size, 0);
    },
  };
});
