import { type ChildProcess, spawn } from "node:child_process";
import { getLogger } from "@logtape/logtape";
import { CommandError } from "./errors.ts";
import { millraceCommand } from "./runtime.ts";
import { within } from "./stop.ts";

const log = getLogger(["millrace", "dev"]);

const RESTART_FROM_MS = 500;
const RESTART_TO_MS = 10_000;
/** A worker that lived so long was well: the next restart comes soon again. */
const WELL_MS = 30_000;
/** More than a worker takes with the drain that it is given. */
const STOP_MS = 30_000;

/** How a worker's first line begins. */
const READY = /^worker \S+ serves /m;
const READY_LENGTH = 1_000;

export interface WorkerChildOptions {
  args: readonly string[];
  env: Record<string, string | undefined>;
}

/**
 * A worker in a process of its own, so that what a step does to its process harms neither the gateway nor the terminal.
 * Started again when it dies. It ends with this process, however that ends: it watches a pipe that only this one holds.
 */
export class WorkerChild {
  /** Resolves when a worker has said what it serves. */
  readonly ready: Promise<void>;
  /** Resolves with the reason when starting it again cannot help. */
  readonly failed: Promise<CommandError>;
  readonly #options: WorkerChildOptions;
  #child: ChildProcess;
  #ended: Promise<void> = Promise.resolve();
  #restart: ReturnType<typeof setTimeout> | undefined;
  #delayMs = RESTART_FROM_MS;
  #stopping = false;
  #onReady: () => void = () => undefined;
  #onFailure: (error: CommandError) => void = () => undefined;

  constructor(options: WorkerChildOptions) {
    this.#options = options;
    this.ready = new Promise((resolve) => {
      this.#onReady = resolve;
    });
    this.failed = new Promise((resolve) => {
      this.#onFailure = resolve;
    });
    this.#child = this.#start();
  }

  /** Lets it drain, and kills it if that takes too long. Resolves when it has ended. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#restart);
    this.#child.kill("SIGTERM");
    if (await within(this.#ended, STOP_MS)) return;
    this.kill();
    await this.#ended;
  }

  /** Ends it at once. */
  kill(): void {
    this.#stopping = true;
    clearTimeout(this.#restart);
    this.#child.kill("SIGKILL");
  }

  #start(): ChildProcess {
    const startedAt = performance.now();
    const { path, args } = millraceCommand(["worker", "--with-parent", ...this.#options.args]);
    // A group of its own: Ctrl-C is for this process, which stops the gateway first.
    const child = spawn(path, args, {
      env: this.#options.env,
      stdio: ["pipe", "pipe", "inherit"],
      detached: true,
    });
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      process.stdout.write(text);
      said = (said + text).slice(-READY_LENGTH);
      if (READY.test(said)) this.#onReady();
    });
    this.#ended = new Promise((resolve) => {
      child.once("error", (error) => {
        this.#onFailure(new CommandError(`The worker cannot be started: ${error.message}`, { cause: error }));
        resolve();
      });
      child.once("exit", (code, signal) => {
        child.stdin.destroy();
        resolve();
        this.#exited(code, signal, performance.now() - startedAt);
      });
    });
    this.#child = child;
    return child;
  }

  #exited(code: number | null, signal: NodeJS.Signals | null, livedMs: number): void {
    if (this.#stopping) return;
    if (code === 2) {
      // It has said itself what it was asked wrongly.
      this.#onFailure(new CommandError("The worker does not take these options."));
      return;
    }
    if (livedMs > WELL_MS) this.#delayMs = RESTART_FROM_MS;
    const [how, delayMs] = [signal ?? `exit code ${code}`, this.#delayMs];
    log.error("the worker ended ({how}); another starts in {delayMs} ms", { how, delayMs });
    this.#restart = setTimeout(() => this.#start(), delayMs);
    this.#delayMs = Math.min(delayMs * 2, RESTART_TO_MS);
  }
}
