import type { RunEvent } from "../../engine/index.ts";
import { type EngineUnderTest, engineUnderTest } from "./engine-under-test.ts";
import { type StartedProcess, startFile } from "./process.ts";
import workflows from "./programs/fleet-workflows.ts";
import { redisUrl } from "./redis.ts";
import { temporaryDir } from "./run.ts";

const MODULE = "tests/support/programs/fleet-workflows.ts";

/** A connection, and worker processes over the same namespace. */
export interface Fleet extends EngineUnderTest {
  /** A `millrace worker` with these options, once it is ready. */
  start(...options: string[]): Promise<WorkerProcess>;
}

export interface WorkerProcess extends StartedProcess {
  /** Its name in the consumer groups. */
  readonly consumer: string;
}

/** Over the suite's Redis or another. For `await using`: the processes end with it. */
export async function openFleet(url = redisUrl): Promise<Fleet> {
  const engine = await engineUnderTest(workflows, { url });
  const env = { REDIS_URL: url, MILLRACE_NAMESPACE: engine.namespace, MILLRACE_BLOBS: await temporaryDir() };
  const processes: StartedProcess[] = [];
  return {
    ...engine,
    async start(...options) {
      const args = ["worker", "--workflows", MODULE, ...options];
      const started = startFile("node", "cli/main.ts", { args, env });
      processes.push(started);
      const line = await started.line(/^worker \S+ serves /);
      return Object.assign(started, { consumer: line.split(" ")[1]! });
    },
    async [Symbol.asyncDispose]() {
      for (const started of processes) started.kill("SIGKILL");
      await Promise.all(processes.map((started) => started.exited));
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
