import { createWorker } from "../engine/index.ts";
import { WebhookService } from "../workflows/webhooks/index.ts";
import { WEBHOOK_DELIVERY } from "../workflows/webhooks/webhooks.ts";
import { loadDefinitions } from "./definitions.ts";
import { requireRedis, type Settings } from "./settings.ts";
import { parseSteps } from "./steps.ts";
import { askedToStop, parentGone, within } from "./stop.ts";
import { startTracing } from "./tracing.ts";
import { withWebhooks } from "./webhooks.ts";

export interface WorkerCommand {
  workflows: string[];
  steps?: string;
  concurrency?: number;
  leaseMs?: number;
  drainMs: number;
  metricsPort?: number;
  /** Of that port. */
  host?: string;
  /** End soon after standard input has: its other end was held by a process that is gone. */
  withParent?: boolean;
}

/** Beyond the drain itself: what is left to be stored and said to Redis, each with its own deadline. */
const AFTER_DRAIN_MS = 15_000;
/** Without its parent nobody waits for it, and Redis may be gone as well; others take over what it holds. */
const ORPHAN_MS = 2_000;

/**
 * `millrace worker`: runs steps until it is asked to stop, then drains.
 *
 * @throws UsageError, and what `connect` throws
 */
export async function runWorker(command: WorkerCommand, settings: Settings): Promise<void> {
  const url = requireRedis(settings);
  const definitions = await loadDefinitions(command.workflows);
  const webhooks = withWebhooks(settings);
  const isOther = (workflow: string) => workflow !== WEBHOOK_DELIVERY;
  const steps = command.steps === undefined ? isOther : parseSteps(command.steps, [...definitions, webhooks.workflow]);
  const { concurrency, leaseMs, drainMs, metricsPort, host = "127.0.0.1" } = command;
  const metrics = metricsPort === undefined ? undefined : new (await import("./worker-metrics.ts")).WorkerMetrics();
  const asked = askedToStop().then(() => drainMs + AFTER_DRAIN_MS);
  const stop = command.withParent ? Promise.race([asked, parentGone().then(() => ORPHAN_MS)]) : asked;

  const tracing = await startTracing(settings.tracing, "millrace-worker");
  const { millrace, close } = await webhooks.open(url, { workflows: definitions });
  try {
    const worker = createWorker(millrace, { concurrency, steps, env: process.env, leaseMs, drainMs, ...metrics });
    const served = await metrics?.serve(worker, { host, port: metricsPort! });
    await worker.start();
    const isNamed = steps(WEBHOOK_DELIVERY, "deliver");
    const sender = new WebhookService(millrace, { leaseMs, drainMs, deliver: !isNamed });
    if (isNamed || command.steps === undefined) await sender.start();
    if (served !== undefined) console.log(`metrics on ${served.url}/metrics`);
    console.log(`worker ${worker.id} serves ${worker.serves.join(", ")}`);
    const timeoutMs = await stop;
    await within(Promise.all([sender.stop(), worker.stop()]), timeoutMs);
    await served?.close();
  } finally {
    await close();
    await tracing.stop();
  }
}
