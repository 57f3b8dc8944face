import { readdir } from "node:fs/promises";

/** The files of a blob store: two for each blob. Those that are named by their digest are links, and left out. */
export async function blobFiles(dir: string): Promise<string[]> {
  const all = await readdir(dir, { recursive: true, withFileTypes: true });
  const names = all.filter((entry) => entry.isFile()).map((entry) => entry.name);
  return names.filter((name) => !/^[0-9a-f]{64}$/.test(name));
}
