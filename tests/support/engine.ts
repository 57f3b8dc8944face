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

/** A connection and its workers in a namespace of their own; all is closed by `close`. */
export class EngineBench {
  readonly namespace: string;
  readonly millrace: Millrace;
  readonly #workers: Worker[] = [];

  private constructor(namespace: string, millrace: Millrace) {
    this.namespace = namespace;
    this.millrace = millrace;
  }

  /** On the server of the suite, unless it is given another one. */
  static async open(workflows: readonly AnyWorkflow[], blobs?: BlobStore, url = redisUrl): Promise<EngineBench> {
    const namespace = freshNamespace();
    const options = { url, namespace, workflows };
    return new EngineBench(namespace, await connect(blobs === undefined ? options : { ...options, blobs }));
  }

  async worker(options?: WorkerOptions): Promise<Worker> {
    const worker = createWorker(this.millrace, options);
    this.#workers.push(worker);
    await worker.start();
    return worker;
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop()));
    await this.millrace.close();
  }

  /** Every event of a run until it has ended. Fails on a reset, and on a number that is missing or comes twice. */
  async events(run: string, after = 0): Promise<RunEvent[]> {
    const events: RunEvent[] = [];
    const signal = AbortSignal.timeout(25_000);
    for await (const event of this.millrace.watch(run, { after: String(after), signal })) {
      if (event.type === "reset") throw new Error("a reset");
      if (event.seq !== after + events.length + 1) throw new Error(`event ${event.seq} after ${events.length} others`);
      events.push(event);
    }
    return events;
  }

  /** Starts a run, and shows it when it has ended. */
  async ended(workflow: AnyWorkflow, input: unknown): Promise<RunView> {
    const { id } = await this.millrace.runs.start(workflow, input);
    await this.events(id);
    return this.millrace.runs.get(id);
  }

  /** Resolves when this event has come. */
  async until(run: string, wanted: (event: RunEvent) => boolean): Promise<RunEvent> {
    for await (const event of this.millrace.watch(run, { signal: AbortSignal.timeout(25_000) }))
      if (event.type !== "reset" && wanted(event)) return event;
    throw new Error(`Run ${run} ended, or nothing came, before the event that was waited for.`);
  }
}
