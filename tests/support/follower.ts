import type { Millrace, RunSummary, StreamMessage, WatchAllOptions } from "../../engine/index.ts";

/**
 * Watches many runs as a client does that comes back with its last cursor, and holds what it is told against what was promised: of
 * one call each number of a run once and in order, and of all of them together every number.
 */
export class Follower {
  readonly #millrace: Millrace;
  readonly #options: WatchAllOptions;
  /** Up to which number each run was told. */
  readonly told = new Map<string, number>();
  readonly ended = new Set<string>();
  readonly workflows = new Map<string, string>();
  readonly resets: StreamMessage[] = [];
  cursor: string | undefined;
  cursors = 0;
  events = 0;
  /** How many were told again after a cut. */
  repeated = 0;
  #abort = new AbortController();
  #failure: { error: unknown } | undefined;
  #wake = (): void => {};

  constructor(millrace: Millrace, options: WatchAllOptions = {}) {
    this.#millrace = millrace;
    this.#options = options;
    this.cursor = options.after;
  }

  /** Watches until `cut`. @throws Error for what should not have been told */
  async follow(): Promise<void> {
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    const after = this.cursor === undefined ? {} : { after: this.cursor };
    const here = new Map<string, number>();
    try {
      for await (const message of this.#millrace.watchAll({ ...this.#options, ...after, signal })) {
        this.#take(message, here);
        this.#wake();
      }
    } catch (error) {
      this.#failure = { error };
      this.#wake();
      throw error;
    }
  }

  /** Leaves, with the cursor that it saw last. */
  cut(): void {
    this.#abort.abort();
  }

  /** Resolves once that is so. @throws Error after 30 s */
  async until(what: string, isSo: () => boolean): Promise<void> {
    const deadline = Date.now() + 30_000;
    while (!isSo()) {
      if (this.#failure !== undefined) throw this.#failure.error;
      if (Date.now() > deadline)
        throw new Error(`Of ${this.told.size} runs ${this.ended.size} ended, and not: ${what}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1_000);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Runs that were not told of up to their last event. */
  async incomplete(runs: readonly string[]): Promise<string[]> {
    const wrong: string[] = [];
    for (const run of runs) {
      const { seq } = await this.#millrace.runs.summary(run, { tenant: this.#options.tenant ?? "default" });
      if (this.told.get(run) !== seq) wrong.push(`${run} up to ${this.told.get(run)} of ${seq}`);
    }
    return wrong;
  }

  #take(message: StreamMessage, here: Map<string, number>): void {
    if (message.type === "cursor") {
      this.cursor = message.cursor;
      this.cursors += 1;
      return;
    }
    if (message.type === "reset") {
      this.resets.push(message);
      if ("runs" in message) this.#show(message.runs, here);
      else this.told.set(message.run, message.seq);
      return;
    }
    const { run, seq, workflow, type } = message;
    const [last, before] = [this.told.get(run) ?? 0, here.get(run)];
    if (before !== undefined && seq !== before + 1) throw new Error(`Of ${run}, ${seq} came after ${before}.`);
    here.set(run, seq);
    if (seq <= last) this.repeated += 1;
    else if (seq === last + 1) this.told.set(run, seq);
    else throw new Error(`Of ${run}, ${seq} came after ${last}.`);
    this.events += 1;
    this.workflows.set(run, workflow);
    if (/^run\.(completed|failed|cancelled)$/.test(type)) this.ended.add(run);
  }

  #show(runs: readonly RunSummary[], here: Map<string, number>): void {
    for (const { id, seq } of runs) {
      this.told.set(id, seq);
      here.set(id, seq);
    }
  }
}
