import { type ChildProcess, fork } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startPrivateRedis } from "../../../engine/redis/private/index.ts";

/** A Redis server of one's own, and processes beside it. */
export class Processes {
  readonly #children: ChildProcess[] = [];
  readonly url: string;
  readonly dir: string;

  constructor(url: string, dir: string) {
    this.url = url;
    this.dir = dir;
  }

  /** Starts a file of this directory. */
  start(name: string, ...args: (string | number)[]): ChildProcess {
    const file = new URL(`${name}.ts`, import.meta.url).pathname;
    const started = fork(file, args.map(String), { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    this.#children.push(started);
    return started;
  }

  end(): void {
    for (const each of this.#children) each.kill("SIGKILL");
  }
}

/** Calls `measure` with a server that is empty; all is gone afterwards. */
export async function withProcesses(measure: (processes: Processes) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "millrace-bench-"));
  const server = await startPrivateRedis({ dir, appendOnly: false, args: ["--save", ""] });
  const processes = new Processes(server.url, dir);
  try {
    await measure(processes);
  } finally {
    processes.end();
    await server.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

/** The next message of this kind from a child. */
export function said<T>(from: ChildProcess, kind: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const hear = (message: { kind: string } & T) => {
      if (message.kind !== kind) return;
      from.off("message", hear);
      resolve(message);
    };
    from.on("message", hear);
    from.once("exit", (code) => reject(new Error(`A process of the bench ended with ${code}.`)));
  });
}

/** What a process takes, and the most that it took since it was last asked. */
export interface Memory {
  rss: number;
  most: number;
  cpuS: number;
}

export function memoryOf(child: ChildProcess): Promise<Memory> {
  const answer = said<Memory>(child, "memory");
  child.send("memory");
  return answer;
}

export function mb(bytes: number): string {
  return (bytes / 1_048_576).toFixed(0);
}

/** Has a child answer `memoryOf`. @param first done before it does */
export function answersMemory(first: () => Promise<void> = async () => {}): void {
  let most = 0;
  setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss());
  }, 20);
  process.on("message", async () => {
    await first();
    const { user, system } = process.cpuUsage();
    process.send!({ kind: "memory", rss: process.memoryUsage.rss(), most, cpuS: (user + system) / 1e6 });
    most = 0;
  });
}
