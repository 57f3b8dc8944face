import type { BlobStore } from "../blobs/blob-store.ts";
import { connectBy, internalsOf } from "../connect.ts";
import { MillraceError } from "../errors.ts";
import type { RunEvent } from "../events.ts";
import { newId } from "../ids.ts";
import { NamespaceKeys } from "../keys.ts";
import type { Millrace, StartOptions } from "../millrace.ts";
import { startTemporaryRedis } from "../redis/private/index.ts";
import type { Handler, Undo } from "../step.ts";
import { ClockedClient, ClockStore } from "../store/clock-store.ts";
import type { RunView } from "../views.ts";
import { createWorker } from "../worker.ts";
import type { AnyWorkflow } from "../workflow.ts";
import { TestClock } from "./clock.ts";
import { durationText } from "./duration.ts";
import { type Failing, type Fake, Fakes } from "./fakes.ts";
import { MemoryBlobs } from "./memory-blobs.ts";
import type { EndedRun, HandlerInput, HandlerName, HandlerOutput, StepName, StepOutput, TestRun } from "./types.ts";

/** Which Redis a test kit uses, and how its worker works. */
export interface TestKitOptions {
  /** A Redis to use, in a namespace of the kit's own that is removed at the end. Default: a server of the kit's own. */
  url?: string;
  /** Where a server program is kept that had to be fetched. Default `.millrace`. */
  home?: string;
  /** Where documents and large outputs live. Default: in memory. */
  blobs?: BlobStore;
  /** What handlers find in `ctx.env`. */
  env?: Readonly<Record<string, string | undefined>>;
  /** How many attempts run at once. Default 32. */
  concurrency?: number;
  /** How long whatever is waited for may take between two moves of the clock, in ms of real time. Default 10,000. */
  timeoutMs?: number;
}

/** A handler is given longer without a heartbeat than elsewhere: a test may be held in a debugger. */
const LEASE_MS = 60_000;

/**
 * Workflows on a Redis, a worker and a clock of a test's own. For `await using`; or end it with `close()`.
 *
 * A run goes on by itself, as in production, until only a timer can move it on: `clock` moves time, and so do `run` and
 * `ended`, which go from timer to timer.
 */
export class TestKit implements AsyncDisposable {
  /** Everything else that can be done with runs: cancel, list, dead letters … */
  readonly millrace: Millrace;
  readonly clock: TestClock;
  readonly #fakes: Fakes;
  readonly #timeoutMs: number;
  readonly #close: () => Promise<void>;
  #closed: Promise<void> | undefined;

  constructor(parts: {
    millrace: Millrace;
    clock: TestClock;
    fakes: Fakes;
    timeoutMs: number;
    close: () => Promise<void>;
  }) {
    this.millrace = parts.millrace;
    this.clock = parts.clock;
    this.#fakes = parts.fakes;
    this.#timeoutMs = parts.timeoutMs;
    this.#close = parts.close;
  }

  /** Starts a run. @throws as `millrace.runs.start` */
  async start<W extends AnyWorkflow>(workflow: W, input: unknown, options?: StartOptions): Promise<TestRun<W>> {
    return { ...(await this.millrace.runs.start(workflow, input, options)), definition: workflow };
  }

  /** Starts a run and goes on with it until it has ended, whatever time that takes it. @throws as `start` and `ended` */
  async run<W extends AnyWorkflow>(workflow: W, input: unknown, options?: StartOptions): Promise<EndedRun<W>> {
    return this.ended(await this.start(workflow, input, options));
  }

  /**
   * Goes on until a run has ended, completed or not: whenever everything rests the clock moves to the next timer.
   *
   * @throws MillraceError `run_waits` if no timer is left and it has not ended; `not_at_rest`, `too_many_timers`;
   *   NotFoundError
   */
  async ended<W extends AnyWorkflow>(run: TestRun<W> | string): Promise<EndedRun<W>> {
    const id = idOf(run);
    await this.clock.runUntilIdle(async () => (await this.millrace.runs.summary(id)).endedAt !== undefined);
    const view = await this.millrace.runs.get(id);
    if (view.endedAt === undefined)
      throw new MillraceError("run_waits", `Run ${id} has not ended, and no timer is left: ${standingOf(view)}.`);
    return view as EndedRun<W>;
  }

  /** What has happened in a run so far, as far as its log reaches back. @throws NotFoundError */
  async events(run: TestRun | string): Promise<RunEvent[]> {
    const id = idOf(run);
    const { seq: last } = await this.millrace.runs.summary(id);
    const events: RunEvent[] = [];
    for await (const event of this.#watch(id)) {
      if (event.type !== "reset") events.push(event);
      if (event.seq >= last) break;
    }
    return events;
  }

  /**
   * The first event of a run that is of this type, or that is wanted, once there is one. The clock is not moved.
   *
   * @throws MillraceError `no_such_event` if the run ends without it, or the kit's `timeoutMs` is over; NotFoundError
   */
  async until(run: TestRun | string, wanted: RunEvent["type"] | ((event: RunEvent) => boolean)): Promise<RunEvent> {
    const isWanted = typeof wanted === "function" ? wanted : (event: RunEvent) => event.type === wanted;
    const id = idOf(run);
    for await (const event of this.#watch(id)) if (event.type !== "reset" && isWanted(event)) return event;
    const what = typeof wanted === "string" ? wanted : "the event that was waited for";
    const view = await this.millrace.runs.get(id);
    const why =
      view.endedAt === undefined
        ? `did not come to ${what} in ${durationText(this.#timeoutMs)}`
        : `ended without ${what}`;
    throw new MillraceError("no_such_event", `Run ${id} ${why}: ${standingOf(view)}.`);
  }

  /**
   * Puts something in a step's place, for its attempts from now on; the step's own handler is not even loaded.
   *
   * @param made a handler, or simply the output
   * @throws NotFoundError for a workflow that this kit was not made with, or a step that it does not have
   */
  fake<W extends AnyWorkflow, const N extends HandlerName<W>>(
    workflow: W,
    step: N,
    made: HandlerOutput<W, N> | Handler<HandlerInput<W, N>, HandlerOutput<W, N>>,
  ): Fake<HandlerInput<W, N>> {
    return this.#fakes.fake(workflow, step, made) as Fake<HandlerInput<W, N>>;
  }

  /**
   * Puts something in the place of a step's undo; by default, what does nothing.
   *
   * @throws NotFoundError if there is no such step, or it has no undo
   */
  fakeUndo<W extends AnyWorkflow, const N extends StepName<W>>(
    workflow: W,
    step: N,
    undo: Undo<unknown, StepOutput<W, N>> = () => undefined,
  ): Fake<{ input: unknown; output: StepOutput<W, N> }> {
    return this.#fakes.fakeUndo(workflow, step, undo) as Fake<{ input: unknown; output: StepOutput<W, N> }>;
  }

  /**
   * Has attempts of a step fail, its other attempts being as they were.
   *
   * @returns the attempts that have failed by it
   * @throws MillraceError `bad_option`; NotFoundError as `fake`
   */
  fail<W extends AnyWorkflow, const N extends HandlerName<W>>(
    workflow: W,
    step: N,
    failing: Failing<HandlerInput<W, N>>,
  ): Fake<HandlerInput<W, N>> {
    return this.#fakes.fail(workflow, step, failing as Failing) as Fake<HandlerInput<W, N>>;
  }

  /** Stops the worker, whose handlers see their signal abort, and removes all that the kit has made. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #watch(run: string) {
    return this.millrace.watch(run, { signal: AbortSignal.timeout(this.#timeoutMs) });
  }
}

/**
 * A kit for these workflows, its worker started.
 *
 * @throws DefinitionError; MillraceError `bad_option`, or `no_redis_server` if there is no server program and none could
 *   be fetched; UnavailableError
 */
export async function testKit(workflows: readonly AnyWorkflow[], options: TestKitOptions = {}): Promise<TestKit> {
  const { url, home, blobs = new MemoryBlobs(), env = {}, concurrency = 32, timeoutMs = 10_000 } = options;
  if (!(timeoutMs > 0 && timeoutMs <= 3_600_000))
    throw new MillraceError("bad_option", "timeoutMs must be above 0 and at most an hour");
  const cleanups: (() => Promise<unknown>)[] = [];
  const close = async () => {
    const failed: unknown[] = [];
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup().catch((error) => failed.push(error));
    if (failed.length > 0) throw failed[0];
  };
  try {
    const server = url === undefined ? await startTemporaryRedis(home) : undefined;
    if (server !== undefined) cleanups.push(() => server.stop());

    const namespace = `kit-${newId()}`;
    const named = new NamespaceKeys(namespace);
    const keys = named.partition(0);
    const fakes = new Fakes();
    const millrace = await connectBy((link) => new ClockedClient(link, [keys.clock(), named.spaceClock()]), {
      // One clock, one partition.
      ...{ url: url ?? server!.url, namespace, blobs, partitions: 1 },
      workflows: [...new Set(workflows)].map((workflow) => fakes.instrument(workflow)),
    });
    cleanups.push(() => millrace.close());

    const { client: opened, consumers } = internalsOf(millrace);
    const client = opened as ClockedClient;
    const store = new ClockStore(client, keys);
    if (server === undefined) cleanups.push(() => store.removeAll(namespace));
    // Nothing is lost here but what a test loses, to see what comes of that.
    const worker = createWorker(millrace, { concurrency, env, leaseMs: LEASE_MS, drainMs: 0, reconcile: false });
    cleanups.push(() => worker.stop());
    await worker.start();
    const clock = new TestClock({ client, store, worker, consumers, timeoutMs });
    return new TestKit({ millrace, clock, fakes, timeoutMs, close });
  } catch (error) {
    await close().catch(() => {});
    throw error;
  }
}

function idOf(run: TestRun | string): string {
  return typeof run === "string" ? run : run.id;
}

/** Where a run is, in words. */
function standingOf({ status, steps }: RunView): string {
  const live = Object.entries(steps).filter(([, step]) => !["pending", "completed", "skipped"].includes(step.status));
  return [`it is ${status}`, ...live.map(([name, step]) => `step ${name} is ${step.status}`)].join(", ");
}
