import { readdir } from "node:fs/promises";

/** How often files are listed again because a folder went while they were. */
const TRIES = 20;

/** The files of a blob store: two for each blob. Those that are named by their digest are links, and left out. */
export async function blobFiles(dir: string): Promise<string[]> {
  for (let tries = 1; ; tries += 1)
    try {
      const all = await readdir(dir, { recursive: true, withFileTypes: true });
      const names = all.filter((entry) => entry.isFile()).map((entry) => entry.name);
      return names.filter((name) => !/^[0-9a-f]{64}$/.test(name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT" || tries === TRIES) throw error;
    }
}
