import { readFile, stat, truncate } from "node:fs/promises";
import { join } from "node:path";

/**
 * The append-only file of a server that is down, as a power cut may leave it: SIGKILL alone loses nothing that was written,
 * since the page cache survives it.
 */
export class AppendOnlyFile {
  readonly path: string;
  readonly bytes: number;

  private constructor(path: string, bytes: number) {
    this.path = path;
    this.bytes = bytes;
  }

  /** @param dir the server's; the manifest names the one file that it was appending to */
  static async in(dir: string): Promise<AppendOnlyFile> {
    const folder = join(dir, "appendonlydir");
    const manifest = await readFile(join(folder, "appendonly.aof.manifest"), "utf8");
    const names = [...manifest.matchAll(/^file (\S+) seq \d+ type i/gm)].map(([, name]) => name!);
    const path = join(folder, names.at(-1)!);
    return new AppendOnlyFile(path, (await stat(path)).size);
  }

  /** What follows these bytes was never on disk. The server reads such a file to its last whole command. */
  async cutAt(bytes: number): Promise<void> {
    await truncate(this.path, Math.max(0, Math.min(bytes, this.bytes)));
  }
}

/** How long a server's file was when it was last fsynced for certain. */
export interface FsyncMark {
  path: string;
  bytes: number;
}

/**
 * How long the file is now, once all that was written before this call is on disk: `WAITAOF` says so where the server knows
 * it (7.2), and else a write that is fsynced before its reply, which takes what came before it along.
 */
export async function fsynced(
  dir: string,
  client: { call(name: string, ...args: string[]): Promise<unknown> },
): Promise<FsyncMark> {
  try {
    await client.call("WAITAOF", "1", "0", "5000");
  } catch {
    await client.call("CONFIG", "SET", "appendfsync", "always");
    await client.call("SET", "fsynced", "1");
    await client.call("CONFIG", "SET", "appendfsync", "everysec");
  }
  const { path, bytes } = await AppendOnlyFile.in(dir);
  return { path, bytes };
}
