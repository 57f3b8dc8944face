import { FsBlobStore } from "../engine/blobs/fs.ts";
import { connect, createWorker } from "../engine/index.ts";
import { loadDefinitions } from "./definitions.ts";
import { requireRedis, type Settings } from "./settings.ts";
import { parseSteps } from "./steps.ts";
import { askedToStop, parentGone, within } from "./stop.ts";

export interface WorkerCommand {
  workflows: string[];
  steps?: string;
  concurrency?: number;
  leaseMs?: number;
  drainMs: number;
  /** End as if asked to when standard input ends. */
  withParent?: boolean;
}

/** Beyond the drain itself: what is left to be stored and said to Redis, each with its own deadline. */
const AFTER_DRAIN_MS = 15_000;

/**
 * `millrace worker`: runs steps until it is asked to stop, then drains.
 *
 * @throws UsageError, and what `connect` throws
 */
export async function runWorker(command: WorkerCommand, settings: Settings): Promise<void> {
  const url = requireRedis(settings);
  const definitions = await loadDefinitions(command.workflows);
  const steps = command.steps === undefined ? undefined : parseSteps(command.steps, definitions);
  const stop = command.withParent ? Promise.race([askedToStop(), parentGone()]) : askedToStop();

  const { namespace } = settings;
  const millrace = await connect({ url, namespace, workflows: definitions, blobs: new FsBlobStore(settings.blobs) });
  try {
    const { concurrency, leaseMs, drainMs } = command;
    const worker = createWorker(millrace, { concurrency, steps, env: process.env, leaseMs, drainMs });
    await worker.start();
    console.log(`worker ${worker.id} serves ${worker.serves.join(", ")}`);
    await stop;
    await within(worker.stop(), drainMs + AFTER_DRAIN_MS);
  } finally {
    await millrace.close();
  }
}
