import { type ChildProcess, spawn } from "node:child_process";
import { ROOT } from "./run.ts";
import { type Runtime, runtimePaths, workerdPath } from "./runtime-path.ts";

export type { Runtime };

export const RUNTIMES: readonly Runtime[] = ["node", "bun", "deno"];

/** What a gateway runs on: on workerd it is alone there, and its workers are on Node. */
export type GatewayRuntime = Runtime | "workerd";
export const GATEWAY_RUNTIMES: readonly GatewayRuntime[] = [...RUNTIMES, "workerd"];

/** Why a runtime cannot be tried here; undefined if it can. For `skipIf`. */
export function missing(runtime: GatewayRuntime): string | undefined {
  return (runtime === "workerd" ? workerdPath : runtimePaths[runtime]) === undefined
    ? `${runtime} is not installed for this system`
    : undefined;
}

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface StartedProcess {
  readonly pid: number;
  /** What it printed on both outputs so far, in the order it came; the last 200,000 characters. */
  output(): string;
  /**
   * The first line on its standard output that matches, past or to come.
   *
   * @throws Error with its output if it ends first, or after `timeoutMs` (default 15 s)
   */
  line(pattern: RegExp, timeoutMs?: number): Promise<string>;
  readonly exited: Promise<Ended>;
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM, then SIGKILL after `timeoutMs` (default 15 s). Resolves when it has ended. */
  stop(timeoutMs?: number): Promise<Ended>;
}

export interface ProcessOptions {
  args?: readonly string[];
  env?: Record<string, string | undefined>;
  cwd?: string;
  /** In a process group of its own, so that a test can signal the group as a terminal does. */
  detached?: boolean;
}

const started = new Set<StartedProcess>();

/** Starts a TypeScript file of the project (its path from the checkout's root) under a runtime. */
export function startFile(runtime: Runtime, file: string, options: ProcessOptions = {}): StartedProcess {
  const path = runtimePaths[runtime];
  if (path === undefined) throw new Error(missing(runtime));
  const flags = runtime === "deno" ? ["run", "--quiet", "--allow-all"] : [];
  return startProgram(path, [...flags, `${ROOT}${file}`, ...(options.args ?? [])], options);
}

export function startProgram(path: string, args: readonly string[], options: ProcessOptions = {}): StartedProcess {
  const child = spawn(path, args, {
    cwd: options.cwd ?? ROOT,
    env: { ...process.env, NO_COLOR: "1", ...options.env },
    detached: options.detached ?? false,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const handle = new Child(child, [path, ...args].join(" "));
  started.add(handle);
  const forget = () => started.delete(handle);
  handle.exited.then(forget, forget);
  return handle;
}

/** Ends what the file's tests left running, and says what that was. Run after each file's last test. */
export async function endProcesses(): Promise<string[]> {
  const left = [...started];
  await Promise.all(left.map((each) => each.stop(2_000)));
  return left.map((each) => `process ${each.pid}`);
}

class Child implements StartedProcess {
  readonly pid: number;
  readonly exited: Promise<Ended>;
  readonly #child: ChildProcess;
  readonly #what: string;
  readonly #lines: string[] = [];
  readonly #waiting = new Set<() => void>();
  #output = "";
  #ended = false;

  constructor(child: ChildProcess, what: string) {
    this.#child = child;
    this.#what = what;
    this.pid = child.pid ?? 0;
    this.exited = new Promise((resolve, reject) => {
      child.once("error", reject);
      // Not "exit": its last lines may still be in the pipe.
      child.once("close", (code, signal) => {
        this.#ended = true;
        resolve({ code, signal });
        this.#wake();
      });
    });
    this.exited.catch(() => this.#wake());
    let partial = "";
    child.stdout!.setEncoding("utf8").on("data", (chunk: string) => {
      const lines = (partial + chunk).split("\n");
      partial = lines.pop()!;
      this.#lines.push(...lines);
      this.#add(chunk);
    });
    child.stderr!.setEncoding("utf8").on("data", (chunk: string) => this.#add(chunk));
  }

  output(): string {
    return this.#output;
  }

  async line(pattern: RegExp, timeoutMs = 15_000): Promise<string> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const found = this.#lines.find((line) => pattern.test(line));
      if (found !== undefined) return found;
      if (this.#ended) throw new Error(`${this.#what} ended without a line like ${pattern}:\n${this.#output}`);
      const left = deadline - Date.now();
      if (left <= 0) throw new Error(`${this.#what}: no line like ${pattern} in ${timeoutMs} ms:\n${this.#output}`);
      await this.#change(left);
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async stop(timeoutMs = 15_000): Promise<Ended> {
    this.kill("SIGTERM");
    const last = setTimeout(() => this.kill("SIGKILL"), timeoutMs);
    try {
      return await this.exited;
    } finally {
      clearTimeout(last);
    }
  }

  #add(chunk: string): void {
    this.#output = (this.#output + chunk).slice(-200_000);
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }

  #change(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      this.#waiting.add(done);
    });
  }
}
