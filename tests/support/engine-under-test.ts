import {
  type AnyWorkflow,
  type BlobStore,
  type CredentialsProvider,
  connect,
  createWorker,
  type DurabilityOption,
  type Millrace,
  type RunEvent,
  type RunView,
  type Worker,
  type WorkerOptions,
} from "../../engine/index.ts";
import { engineUrl, freshNamespace } from "./redis.ts";

export interface EngineUnderTest extends AsyncDisposable {
  readonly millrace: Millrace;
  readonly namespace: string;
  /** A started worker; stopped at the end. */
  worker(options?: WorkerOptions): Promise<Worker>;
  /** The events of a run after number `after` until it has ended, checked to be numbered without a gap. */
  events(run: string, after?: number): Promise<RunEvent[]>;
  /** The first event of a run that is wanted. */
  until(run: string, wanted: (event: RunEvent) => boolean): Promise<RunEvent>;
  /** The run when it has ended. */
  ended(run: string): Promise<RunView>;
  /** Starts a run, and shows it when it has ended. */
  run(workflow: AnyWorkflow, input: unknown): Promise<RunView>;
}

export interface EngineUnderTestOptions {
  url?: string;
  blobs?: BlobStore;
  namespace?: string;
  partitions?: number;
  durability?: DurabilityOption;
  credentials?: CredentialsProvider;
}

/** How many partitions the namespaces of tests have, if that is said: the suite holds for any. */
const PARTITIONS = process.env.TEST_PARTITIONS === undefined ? undefined : Number(process.env.TEST_PARTITIONS);

/** An engine over the suite's Redis or another, in a namespace of its own or one that is shared. For `await using`. */
export async function engineUnderTest(
  workflows: readonly AnyWorkflow[],
  {
    url = engineUrl,
    blobs,
    namespace = freshNamespace(),
    partitions = PARTITIONS,
    durability,
    credentials,
  }: EngineUnderTestOptions = {},
): Promise<EngineUnderTest> {
  const more = {
    ...(partitions === undefined ? {} : { partitions }),
    ...(blobs === undefined ? {} : { blobs }),
    ...(credentials === undefined ? {} : { credentials }),
    ...(durability === undefined ? {} : { durability }),
  };
  const millrace = await connect({ url, namespace, workflows, ...more });
  const workers: Worker[] = [];
  const events = async (run: string, after = 0, wanted?: (event: RunEvent) => boolean) => {
    const seen: RunEvent[] = [];
    for await (const event of millrace.watch(run, { after: String(after), signal: AbortSignal.timeout(25_000) })) {
      if (event.type === "reset") throw new Error("The log was lost.");
      if (event.seq !== after + seen.length + 1)
        throw new Error(`Event ${event.seq} came after ${seen.length} others.`);
      seen.push(event);
      if (wanted?.(event)) break;
    }
    return seen;
  };
  const ended = async (run: string) => {
    await events(run);
    return millrace.runs.get(run);
  };
  return {
    ...{ millrace, namespace, ended },
    events: (run, after) => events(run, after),
    async until(run, wanted) {
      const last = (await events(run, 0, wanted)).pop();
      if (last === undefined || !wanted(last))
        throw new Error(`Run ${run} ended without the event that was waited for.`);
      return last;
    },
    run: async (workflow, input) => ended((await millrace.runs.start(workflow, input)).id),
    async worker(options) {
      const worker = createWorker(millrace, options);
      workers.push(worker);
      await worker.start();
      return worker;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(workers.map((worker) => worker.stop()));
      await millrace.close();
    },
  };
}
