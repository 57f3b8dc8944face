import { randomBytes } from "node:crypto";
import { readdir, readFile, rm } from "node:fs/promises";
import type { Redis } from "ioredis";
import type { TestProject } from "vitest/node";
import { startPrivateRedis } from "../../engine/redis/private/index.ts";
import { connectTo, connectToCluster, isClusterAt, keysLike } from "./redis-client.ts";
import { ROOT, RUN_VARIABLE, runDir } from "./run.ts";

const SETTLING_MS = 3_000;

/**
 * One Redis for the whole run: a private one without persistence, or the one that REDIS_URL names. At the end it says
 * what the suite left behind, and the run fails if that is anything.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const run = randomBytes(4).toString("hex");
  const given = process.env.REDIS_URL;
  const own =
    given === undefined
      ? await startPrivateRedis({
          dir: `${ROOT}.millrace/tests/${run}/redis`,
          appendOnly: false,
          home: `${ROOT}.millrace`,
        })
      : undefined;
  const url = given ?? own!.url;
  const isCluster = await isClusterAt(url);
  project.provide("redisUrl", url);
  project.provide("isCluster", isCluster);
  // After the private server was started: from here on, whoever carries it was started by a test.
  process.env[RUN_VARIABLE] = run;

  return async () => {
    const client = isCluster ? connectToCluster(url) : connectTo(url);
    try {
      const left = await leftBehind(() => whatIsLeft(client, run, own !== undefined));
      console.log(
        `left behind: ${Object.entries(left)
          .map(([kind, list]) => `${list.length} ${kind}`)
          .join(", ")}`,
      );
      const found = Object.values(left).flat();
      if (found.length > 0) throw new Error(`The suite left behind:\n${found.slice(0, 50).join("\n")}`);
    } finally {
      client.disconnect();
      await own?.stop();
      await rm(runDir(), { recursive: true, force: true });
    }
  };
}

/** What was looked for, and what of it was found. */
type Left = Record<string, string[]>;

/** Processes and connections take a moment to end. */
async function leftBehind(look: () => Promise<Left>): Promise<Left> {
  for (const deadline = Date.now() + SETTLING_MS; ; ) {
    const left = await look();
    if (Object.values(left).every((list) => list.length === 0) || Date.now() > deadline) return left;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function whatIsLeft(client: Redis, run: string, isOurs: boolean): Promise<Left> {
  return {
    // On a server of our own every key is one too many, whatever it is called.
    keys: await keysLike(client, isOurs ? "*" : `{test-${run}-*`),
    // Another server may have other users; and only Linux tells which processes there are.
    ...(isOurs && { connections: await otherClients(client) }),
    ...(process.platform === "linux" && { children: await processesOf(run) }),
  };
}

async function otherClients(client: Redis): Promise<string[]> {
  const own = await client.client("ID");
  const list = String(await client.client("LIST"))
    .trim()
    .split("\n");
  return list.filter((line) => !line.startsWith(`id=${own} `));
}

/**
 * The processes that were started during the run, by the variable that they inherited: those whose parent has ended
 * already are found too.
 */
async function processesOf(run: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const environment = await readProc(pid, "environ");
    if (!environment.split("\0").includes(`${RUN_VARIABLE}=${run}`)) continue;
    const command = (await readProc(pid, "cmdline")).replaceAll("\0", " ").trim();
    // Vitest's own watchdog; a process that has ended and waits to be reaped has no command line.
    if (command !== "" && !command.startsWith("vitest")) found.push(`process ${pid}: ${command}`);
  }
  return found;
}

/** Empty for a process that has ended meanwhile, or is another user's. */
async function readProc(pid: string, file: string): Promise<string> {
  try {
    return await readFile(`/proc/${pid}/${file}`, "utf8");
  } catch (error) {
    if (["ENOENT", "ESRCH", "EACCES", "EPERM"].includes(String((error as { code?: string }).code))) return "";
    throw error;
  }
}
