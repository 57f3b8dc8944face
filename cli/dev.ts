import type { Millrace } from "../engine/index.ts";
import { type PrivateRedis, startPrivateRedis } from "../engine/redis/private/index.ts";
import { openDoor } from "../gateway/access/open-door.ts";
import { WEBHOOK_DELIVERY } from "../workflows/webhooks/webhooks.ts";
import { loadDefinitions } from "./definitions.ts";
import { requireLoopback } from "./door.ts";
import { CommandError } from "./errors.ts";
import { addressOf, CLOSE_GATEWAY_MS, type GatewayCommand } from "./gateway.ts";
import { serveGateway } from "./serve.ts";
import { HOME, type Settings } from "./settings.ts";
import { askedToStop, within } from "./stop.ts";
import { startTracing } from "./tracing.ts";
import { withWebhooks } from "./webhooks.ts";
import { WorkerChild } from "./worker-child.ts";

export interface DevCommand extends GatewayCommand {
  concurrency?: number;
}

const WORKER_READY_MS = 20_000;

/**
 * `millrace dev`: a Redis server unless one is given, a worker and the gateway, until it is asked to stop. Then the
 * gateway takes no more requests, the worker drains, and Redis ends last.
 *
 * @throws UsageError, CommandError, MillraceError; nothing is left running then
 */
export async function runDev(command: DevCommand, settings: Settings): Promise<void> {
  const address = addressOf(command, settings);
  requireLoopback(address.host);
  const definitions = await loadDefinitions(command.workflows);
  const cleanups: (() => Promise<unknown>)[] = [];
  let worker: WorkerChild | undefined;
  const stop = askedToStop(() => worker?.kill());
  try {
    const tracing = await startTracing(settings.tracing, "millrace-gateway");
    cleanups.push(() => tracing.stop());
    const redis = settings.redisUrl === undefined ? await startRedis(cleanups) : undefined;
    const redisUrl = redis?.url ?? settings.redisUrl!;
    const { durability } = settings;
    const { millrace, close } = await withWebhooks(settings).open(redisUrl, { workflows: definitions, durability });
    cleanups.push(close);

    worker = startWorker(command, redisUrl);
    cleanups.push(() => worker!.stop());
    const { webhooks } = settings;
    const access = { door: openDoor, origins: "loopback", webhooks, limits: command.limit } as const;
    const gateway = await serveGateway(millrace, address, access);
    cleanups.push(() => within(gateway.close(), CLOSE_GATEWAY_MS));

    const ended = Promise.race([stop, failure(worker), ...(redis === undefined ? [] : [redisEnded(redis, worker)])]);
    // Runs are taken from here on; they are worked on once the worker has said that it is there.
    await Promise.race([ended, within(worker.ready, WORKER_READY_MS)]);
    console.log(greeting(gateway.url, redis, millrace));
    await ended;
    console.log("stopping: the gateway, then the worker, then Redis");
  } finally {
    for (const cleanup of cleanups.reverse()) await cleanup();
  }
}

async function startRedis(cleanups: (() => Promise<unknown>)[]): Promise<PrivateRedis> {
  const redis = await startPrivateRedis({ dir: `${HOME}/redis-data`, home: HOME });
  cleanups.push(() => redis.stop());
  return redis;
}

async function redisEnded(redis: PrivateRedis, worker: WorkerChild): Promise<never> {
  const code = await redis.exited;
  // What it does can be stored nowhere.
  worker.kill();
  throw new CommandError(`The private Redis server ended by itself (exit code ${code}).`);
}

async function failure(worker: WorkerChild): Promise<never> {
  throw await worker.failed;
}

function startWorker(command: DevCommand, redisUrl: string): WorkerChild {
  const workflows = command.workflows.flatMap((path) => ["--workflows", path]);
  const concurrency = command.concurrency === undefined ? [] : ["--concurrency", String(command.concurrency)];
  return new WorkerChild({ args: [...workflows, ...concurrency], env: { ...process.env, REDIS_URL: redisUrl } });
}

function greeting(url: string, redis: PrivateRedis | undefined, millrace: Millrace): string {
  const has = (name: string) => millrace.workflows.has(name);
  const lines = [
    `listening on ${url}`,
    redis === undefined
      ? "Redis is the one that is set in the environment"
      : `Redis is a private server, ${redis.url}, with its data in ${HOME}/redis-data`,
    `workflows: ${[...millrace.workflows.keys()].filter((name) => name !== WEBHOOK_DELIVERY).join(", ")}`,
    "",
    "Try:",
  ];
  lines.push(`  ${url}/     in a browser, to see all of it`);
  if (has("document-analysis")) lines.push(`  curl -F file=@some.pdf '${url}/v1/documents?workflow=document-analysis'`);
  if (has("inference"))
    lines.push(
      `  curl ${url}/v1/inference -H 'Content-Type: application/json' -H 'Prefer: wait=10' -d '{"prompt": "Sum up: …"}'`,
    );
  lines.push(
    `  curl ${url}/v1/workflows/NAME/runs -H 'Content-Type: application/json' -d '{"input": …}'`,
    "and with the id that comes back:",
    `  curl -N ${url}/v1/runs/ID/events     watch it live; a WebSocket at the same address does as well`,
    `  curl ${url}/v1/runs/ID               see where it is, and its result`,
    "",
    "Ctrl-C drains and ends everything.",
  );
  return lines.join("\n");
}
