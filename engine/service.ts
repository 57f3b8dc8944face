import { logger } from "./log.ts";

const log = logger("service");

/** Whatever runs beside the work: one shape to start and stop it. */
export interface Service {
  start(): void;
  /** Resolves when it has come to rest. Idempotent. */
  stop(): Promise<void>;
}

/**
 * Calls `runOnce` again and again: `intervalMs` after the last call ended, or sooner if the call asks for it by
 * returning a number of milliseconds, or at once after `wake()`. A call that fails is logged and tried again.
 */
export class Loop implements Service {
  readonly #name: string;
  readonly #intervalMs: number;
  readonly #runOnce: () => Promise<number | undefined>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #dueAt = Number.POSITIVE_INFINITY;
  #running: Promise<void> | undefined;
  #started = false;
  #wokenAt = Number.POSITIVE_INFINITY;

  constructor(name: string, intervalMs: number, runOnce: () => Promise<number | undefined>) {
    this.#name = name;
    this.#intervalMs = intervalMs;
    this.#runOnce = runOnce;
  }

  /** @param inMs in how many ms it runs first */
  start(inMs = 0): void {
    this.#started = true;
    this.#schedule(inMs);
  }

  /** Runs within `inMs`; in any case once more after this. */
  wake(inMs = 0): void {
    if (!this.#started) return;
    const dueAt = performance.now() + inMs;
    if (this.#running !== undefined) this.#wokenAt = Math.min(this.#wokenAt, dueAt);
    else if (dueAt < this.#dueAt) this.#schedule(inMs);
  }

  /** Runs at once, after the run that is under way; resolves when that has ended, well or not. */
  async runNow(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
    if (!this.#started) return;
    clearTimeout(this.#timer);
    this.#running = this.#run();
    await this.#running;
  }

  async stop(): Promise<void> {
    this.#started = false;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #schedule(inMs: number): void {
    clearTimeout(this.#timer);
    this.#dueAt = performance.now() + inMs;
    this.#timer = setTimeout(() => {
      this.#dueAt = Number.POSITIVE_INFINITY;
      this.#running = this.#run();
    }, inMs);
  }

  async #run(): Promise<void> {
    this.#wokenAt = Number.POSITIVE_INFINITY;
    let nextMs = this.#intervalMs;
    try {
      nextMs = Math.min((await this.#runOnce()) ?? nextMs, this.#intervalMs);
    } catch (error) {
      log.warn("{name} failed, and is tried again: {error}", { name: this.#name, error });
    }
    this.#running = undefined;
    if (this.#started) this.#schedule(Math.max(0, Math.min(nextMs, this.#wokenAt - performance.now())));
  }
}
