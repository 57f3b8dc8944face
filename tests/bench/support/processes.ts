import { type ChildProcess, fork } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { startPrivateRedis } from "../../../engine/redis/private/index.ts";
import { type Runtime, runtimePaths } from "../../support/runtime-path.ts";
import type { Memory } from "./child.ts";

/** With PROFILE=DIR, each Node process that is started writes there where its time went, as it ends. */
const PROFILE = process.env.PROFILE;

/** A process that was started. */
export class Child {
  readonly #process: ChildProcess;
  readonly #asked = new Map<number, { resolve(value: never): void; reject(error: Error): void }>();
  #last = 0;
  /** What it said when it was ready. */
  readonly ready: Promise<never>;

  constructor(started: ChildProcess, name: string) {
    this.#process = started;
    this.ready = new Promise((resolve, reject) => this.#asked.set(0, { resolve, reject }));
    this.ready.catch(() => {});
    started.on("message", ({ id, value, error }: { id: number; value: never; error?: string }) => {
      const asked = this.#asked.get(id);
      this.#asked.delete(id);
      if (error === undefined) asked?.resolve(value);
      else asked?.reject(new Error(`${name}: ${error}`));
    });
    started.once("exit", (code) => {
      for (const { reject } of this.#asked.values()) reject(new Error(`${name} ended with ${code}.`));
    });
  }

  async call<T>(name: string, argument: unknown = null): Promise<T> {
    await this.ready;
    this.#last += 1;
    const id = this.#last;
    return new Promise<T>((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      this.#process.send({ id, name, argument });
    });
  }

  memory(): Promise<Memory> {
    return this.call<Memory>("memory");
  }

  async end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill(PROFILE === undefined ? "SIGKILL" : "SIGTERM");
    const kill = setTimeout(() => this.#process.kill("SIGKILL"), 5_000);
    await ended;
    clearTimeout(kill);
  }
}

/** A Redis server of one's own that is empty, and processes beside it. */
export class Bench {
  readonly #children: Child[] = [];
  readonly url: string;
  /** Where files may be put; gone at the end. */
  readonly dir: string;
  readonly redis: Redis;

  constructor(url: string, dir: string) {
    this.url = url;
    this.dir = dir;
    this.redis = new Redis(url);
  }

  /** Starts a file of `programs/`. */
  start(name: string, args: readonly (string | number)[] = [], runtime: Runtime = "node"): Child {
    const execPath = runtimePaths[runtime];
    if (execPath === undefined) throw new Error(`${runtime} is not installed for this system.`);
    const file = new URL(`../programs/${name}.ts`, import.meta.url).pathname;
    const profile = PROFILE === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${PROFILE}`];
    const execArgv = { node: ["--expose-gc", ...profile], bun: [], deno: ["run", "--quiet", "--allow-all"] }[runtime];
    // As it is run for good: some log less then. Each call of Restate would be logged.
    const env = { ...process.env, NODE_ENV: "production", RESTATE_LOGGING: "ERROR" };
    const started = fork(file, args.map(String), {
      ...{ execPath, execArgv, env },
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    const child = new Child(started, name);
    this.#children.push(child);
    return child;
  }

  async end(): Promise<void> {
    this.redis.disconnect();
    await Promise.all(this.#children.map((each) => each.end()));
  }
}

/** Calls `measure` with a server that keeps all in memory; all is gone afterwards. */
export async function withBench<T>(measure: (bench: Bench) => Promise<T>): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), "millrace-bench-"));
  const server = await startPrivateRedis({ dir, appendOnly: false, args: ["--auto-aof-rewrite-percentage", "0"] });
  const bench = new Bench(server.url, dir);
  try {
    return await measure(bench);
  } finally {
    await bench.end();
    await server.stop();
    await rm(dir, { recursive: true, force: true });
  }
}
