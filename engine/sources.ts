import type { StepStream } from "./entry.ts";
import type { PartitionKeys } from "./keys.ts";
import { logger } from "./log.ts";
import type { Client } from "./redis/client.ts";
import { Loop, type Service } from "./service.ts";
import { streamsOf } from "./step-places.ts";
import { ensureGroups } from "./store/group-store.ts";
import { type LaneStore, laneField } from "./store/lane-store.ts";
import { type PauseStore, pauseField } from "./store/pause-store.ts";
import { PRIORITIES } from "./views.ts";

const log = logger("sources");

/** How long a nudge that was missed may go unnoticed. */
const LOOK_EVERY_MS = 2_000;

export interface SourcesOptions {
  client: Client;
  keys: PartitionKeys;
  lanes: LaneStore;
  pauses: PauseStore;
  /** The normal lane of each of its steps. */
  streams: readonly StepStream[];
}

/**
 * What a worker reads from: the streams of its steps in the lanes that are in use, less what is paused. What is stored is
 * read again on a nudge, on a new connection and every now and then.
 */
export class Sources implements Service {
  readonly #options: SourcesOptions;
  readonly #loop: Loop;
  #all: readonly StepStream[];
  #open: readonly StepStream[];
  #lanes: ReadonlySet<string> = new Set();
  #paused: ReadonlySet<string> = new Set();
  #onChange: (() => void) | undefined;

  constructor(options: SourcesOptions) {
    this.#options = options;
    this.#all = options.streams;
    this.#open = options.streams;
    this.#loop = new Loop("sources", LOOK_EVERY_MS, () => this.runOnce());
  }

  /** Every stream of this worker's steps. It only ever grows: what is held keeps its lease. */
  get all(): readonly StepStream[] {
    return this.#all;
  }

  /** Those that are not paused, the high lanes first. The same array for as long as nothing changes. */
  get open(): readonly StepStream[] {
    return this.#open;
  }

  isPaused(stream: StepStream): boolean {
    return this.#paused.size > 0 && !this.#open.includes(stream);
  }

  isTenantPaused(tenant: string): boolean {
    return this.#paused.size > 0 && this.#paused.has(pauseField({ tenant }));
  }

  onChange(listener: () => void): void {
    this.#onChange = listener;
  }

  start(): void {
    this.#loop.start();
  }

  stop(): Promise<void> {
    return this.#loop.stop();
  }

  /** Something is said to have changed. */
  wake(): void {
    this.#loop.wake();
  }

  async runOnce(): Promise<number | undefined> {
    const { client, keys, lanes, pauses } = this.#options;
    const [fields, used] = await Promise.all([pauses.paused(), lanes.used(keys)]);
    const paused = new Set(Object.keys(fields));
    const more = this.#laneStreams(used.filter((field) => !this.#lanes.has(field)));
    if (more.length > 0) await ensureGroups(client, more);
    const isSame = paused.size === this.#paused.size && [...paused].every((field) => this.#paused.has(field));
    this.#lanes = new Set([...this.#lanes, ...used]);
    this.#paused = paused;
    if (more.length === 0 && isSame) return undefined;
    this.#all = [...this.#all, ...more];
    log.info("reads {streams} streams, and leaves what is paused: {paused}", {
      streams: this.#all.length,
      paused: Object.keys(fields),
    });
    const open = this.#all.filter((stream) => !this.#isStopped(stream));
    this.#open = PRIORITIES.flatMap((lane) => open.filter((stream) => stream.lane === lane));
    this.#onChange?.();
    return undefined;
  }

  /** The streams of this worker's steps in lanes that have just come into use. */
  #laneStreams(fields: readonly string[]): StepStream[] {
    if (fields.length === 0) return [];
    const { keys, streams } = this.#options;
    const steps = streams.filter(({ gate }) => gate !== "passed");
    return steps.flatMap(({ graph, step }) =>
      PRIORITIES.filter((lane) => lane !== "normal" && fields.includes(laneField(graph, lane))).flatMap((lane) =>
        streamsOf(keys, graph, step, lane),
      ),
    );
  }

  #isStopped({ graph: { workflow }, step }: StepStream): boolean {
    return this.#paused.has(pauseField({ workflow })) || this.#paused.has(pauseField({ workflow, step: step.name }));
  }
}
