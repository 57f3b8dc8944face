import { logger } from "./log.ts";
import { Loop, type Service } from "./service.ts";
import { type StrandedWork, strandedWork } from "./versions.ts";
import type { QueueView } from "./views.ts";

const log = logger("versions");

const LOOK_EVERY_MS = 60_000;

export interface StrandedWatchParts {
  consumer: string;
  /** The names of the workers that were heard of lately. */
  workers(): Promise<string[]>;
  queues(): Promise<QueueView[]>;
}

/** Warns of work that no live worker serves. Of all live workers one looks: the first by its name. */
export class StrandedWatch implements Service {
  readonly #parts: StrandedWatchParts;
  readonly #loop: Loop;
  #started = false;

  constructor(parts: StrandedWatchParts) {
    this.#parts = parts;
    this.#loop = new Loop("stranded", LOOK_EVERY_MS, () => this.#look());
  }

  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  /** What it has warned of. */
  async runOnce(): Promise<StrandedWork[]> {
    const { consumer, workers, queues } = this.#parts;
    const [first] = (await workers()).sort();
    if (first !== undefined && first < consumer) return [];
    const stranded = strandedWork(await queues());
    for (const { workflow, version, steps, entries } of stranded)
      log.warn(
        "{entries} entries of {workflow}@{version} wait, and no live worker serves {steps}: " +
          "start a worker of that version, or move its runs to another with migrate",
        { entries, workflow, version, steps: steps.join(", ") },
      );
    return stranded;
  }

  /** Not at the start: the other workers of a deploy may still be on their way. */
  async #look(): Promise<undefined> {
    if (this.#started) await this.runOnce();
    this.#started = true;
  }
}
