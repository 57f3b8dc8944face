import type { AnyWorkflow, DurabilityOption, RunEvent } from "../../engine/index.ts";
import { type EngineUnderTest, engineUnderTest } from "./engine-under-test.ts";
import { type StartedProcess, startFile } from "./process.ts";
import fleetWorkflows from "./programs/fleet-workflows.ts";
import { engineUrl } from "./redis.ts";
import { temporaryDir } from "./run.ts";

/** A connection, and worker processes over the same namespace. */
export interface Fleet extends EngineUnderTest {
  /** Those that were started and have not ended. */
  readonly workers: readonly WorkerProcess[];
  /** A `millrace worker` with these options, once it is ready. */
  start(...options: string[]): Promise<WorkerProcess>;
}

export interface WorkerProcess extends StartedProcess {
  /** Its name in the consumer groups. */
  readonly consumer: string;
}

export interface FleetOptions {
  /** What the connection serves, and the file whose default export it is: from the checkout's root. */
  workflows?: readonly AnyWorkflow[];
  module?: string;
  /** What the workers are started with beside their settings. */
  env?: Record<string, string>;
  /** Where the workers find Redis, if that is another way than the connection's. */
  workersUrl?: string;
  /** Of what is started over the connection. */
  durability?: DurabilityOption;
}

/** On a machine that is busy with other tests. */
const STARTED_WITHIN_MS = 60_000;

/** Over the suite's Redis or another. For `await using`: the processes end with it. */
export async function openFleet(url = engineUrl, options: FleetOptions = {}): Promise<Fleet> {
  const { workflows = fleetWorkflows, module = "tests/support/programs/fleet-workflows.ts" } = options;
  const { durability } = options;
  const engine = await engineUnderTest(workflows, { url, ...(durability === undefined ? {} : { durability }) });
  const settings = { MILLRACE_NAMESPACE: engine.namespace, MILLRACE_BLOBS: await temporaryDir() };
  const env = { ...options.env, REDIS_URL: options.workersUrl ?? url, ...settings };
  const workers: WorkerProcess[] = [];
  const starting: StartedProcess[] = [];
  return {
    ...{ ...engine, workers },
    async start(...more) {
      const started = startFile("node", "cli/main.ts", { args: ["worker", "--workflows", module, ...more], env });
      starting.push(started);
      const line = await started.line(/^worker \S+ serves /, STARTED_WITHIN_MS);
      const worker = Object.assign(started, { consumer: line.split(" ")[1]! });
      workers.push(worker);
      void started.exited.then(() => workers.splice(workers.indexOf(worker), 1));
      return worker;
    },
    async [Symbol.asyncDispose]() {
      for (const started of starting) started.kill("SIGKILL");
      await Promise.all(starting.map((started) => started.exited));
      await engine[Symbol.asyncDispose]();
    },
  };
}

/** How often each step of a run completed, by its events. */
export function completions(events: readonly RunEvent[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { type, step } of events) if (type === "step.completed") counts[step!] = (counts[step!] ?? 0) + 1;
  return counts;
}
