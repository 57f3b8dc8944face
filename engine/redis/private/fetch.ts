import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, readdir, rename, rm, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { logger } from "../../log.ts";

const execute = promisify(execFile);
const log = logger("redis");

/** Where the server and its libraries stand in a folder that `fetchRedis` made. */
export const SERVER = "bin/redis-server";
export const LIBRARIES = "lib";

/** For each program that is run; most take a second. */
const TIMEOUT_MS = 90_000;

/**
 * Fetches a Redis server from the Debian archive that this machine already uses, by its own apt, and unpacks it into
 * `dir` without installing anything: no root, no service, nothing is written but `dir` and a work folder beside it. What
 * stood in `dir` is removed. Several processes may do it at once: `dir` appears whole, by one rename, and the first wins.
 *
 * @param dir absolute
 * @throws when apt or dpkg-deb is missing, fails, or takes minutes
 */
export async function fetchRedis(dir: string): Promise<void> {
  const work = `${dir}.${randomBytes(6).toString("hex")}.part`;
  log.info("Fetching a Redis server from the Debian archive; this happens once.");
  await rm(dir, { recursive: true, force: true });
  try {
    for (const each of ["lists/partial", "cache/archives/partial", "packages", "unpacked", "ready"])
      await mkdir(join(work, each), { recursive: true });
    await unpackPackages(work);
    await arrange(join(work, "unpacked"), join(work, "ready"));
    await rename(join(work, "ready"), dir).catch(ignoreFull);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/**
 * Debian's `redis-tools` holds the server under another name, and starts no service. Its libraries are named by the
 * package itself, since their names differ from release to release; the C library must be the system's own.
 */
async function unpackPackages(work: string): Promise<void> {
  const packages = join(work, "packages");
  // Lists and caches of its own, and no change of user: that is what lets it work without root.
  const settings = [
    `Dir::State::Lists=${work}/lists`,
    `Dir::Cache=${work}/cache`,
    "APT::Sandbox::User=",
    "Debug::NoLocking=1",
    "Acquire::Retries=2",
    "Acquire::http::Timeout=20",
    "Acquire::https::Timeout=20",
  ].flatMap((setting) => ["-o", setting]);

  await run("apt-get", ["update", "-q", ...settings], packages);
  const dependencies = await run("apt-cache", ["depends", "redis-tools", ...settings], packages);
  const libraries = [...dependencies.matchAll(/^ *\|?Depends: (lib\S+)$/gm)].map((match) => match[1]!);
  const wanted = libraries.filter((name) => name !== "libc6");
  await run("apt-get", ["download", "-q", "redis-tools", ...wanted, ...settings], packages);
  for (const name of await readdir(packages)) await run("dpkg-deb", ["-x", name, join(work, "unpacked")], packages);
}

/** From Debian's tree to `bin/` and `lib/`, whatever this machine's architecture is called. */
async function arrange(unpacked: string, ready: string): Promise<void> {
  await rename(join(unpacked, "usr/bin"), join(ready, dirname(SERVER)));
  await symlink("redis-check-rdb", join(ready, SERVER));
  await mkdir(join(ready, LIBRARIES));
  for (const file of await readdir(unpacked, { recursive: true, withFileTypes: true })) {
    if (file.isDirectory() || !file.name.includes(".so")) continue;
    await rename(join(file.parentPath, file.name), join(ready, LIBRARIES, file.name));
  }
}

/** What it printed. @throws Error with the end of what it complained about */
async function run(program: string, args: string[], cwd: string): Promise<string> {
  try {
    const env = { ...process.env, LC_ALL: "C" };
    const { stdout } = await execute(program, args, { cwd, env, timeout: TIMEOUT_MS, maxBuffer: 4_000_000 });
    return stdout;
  } catch (error) {
    const { code, killed, stderr } = error as { code?: unknown; killed?: boolean; stderr?: string };
    const why =
      code === "ENOENT"
        ? "there is no such program here"
        : killed
          ? `not done after ${TIMEOUT_MS / 1000} s`
          : String(stderr ?? error)
              .trim()
              .slice(-300);
    throw new Error(`${program} ${args[0]}: ${why}`, { cause: error });
  }
}

/** Another process was quicker; its server is as good. */
function ignoreFull(error: { code?: string }): void {
  if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
}
