import {
  type AnyWorkflow,
  type BlobStore,
  connect,
  createWorker,
  type Millrace,
  type RunEvent,
  type RunView,
  type Worker,
  type WorkerOptions,
} from "../../engine/index.ts";
import { freshNamespace, redisUrl } from "./redis.ts";

export interface EngineUnderTest extends AsyncDisposable {
  readonly millrace: Millrace;
  readonly namespace: string;
  /** A started worker; stopped at the end. */
  worker(options?: WorkerOptions): Promise<Worker>;
  /** The events of a run until it has ended, checked to be numbered 1, 2, 3 … */
  events(run: string): Promise<RunEvent[]>;
  /** The run when it has ended. */
  ended(run: string): Promise<RunView>;
}

/** An engine over the suite's Redis or another, in a namespace of its own. For `await using`. */
export async function engineUnderTest(
  workflows: readonly AnyWorkflow[],
  { url = redisUrl, blobs }: { url?: string; blobs?: BlobStore } = {},
): Promise<EngineUnderTest> {
  const namespace = freshNamespace();
  const millrace = await connect({ url, namespace, workflows, ...(blobs === undefined ? {} : { blobs }) });
  const workers: Worker[] = [];
  const events = async (run: string) => {
    const seen: RunEvent[] = [];
    for await (const message of millrace.watch(run, { signal: AbortSignal.timeout(25_000) })) {
      if (message.type === "reset") throw new Error("The log was lost.");
      if (message.seq !== seen.length + 1) throw new Error(`Event ${message.seq} came after ${seen.length} others.`);
      seen.push(message);
    }
    return seen;
  };
  return {
    ...{ millrace, namespace, events },
    async worker(options) {
      const worker = createWorker(millrace, options);
      workers.push(worker);
      await worker.start();
      return worker;
    },
    async ended(run) {
      await events(run);
      return millrace.runs.get(run);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(workers.map((worker) => worker.stop()));
      await millrace.close();
    },
  };
}
