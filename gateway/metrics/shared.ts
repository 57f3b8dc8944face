import {
  type Millrace,
  type QueueView,
  type SubscriptionView,
  sumErrors,
  type WorkerView,
} from "../../engine/index.ts";
import { family, type Labels } from "./registry.ts";

/** What was read is told again for so long, so that scrapes of many cost Redis no more than those of one. */
const KEPT_MS = 1_000;
/** Redis may take so long: scrapers give up after 10 s. */
const WITHIN_MS = 5_000;

/** The figures that every gateway tells alike: of queues, workers and subscriptions, as Redis has them. */
export class SharedFigures {
  readonly #millrace: Millrace;
  #read: Promise<string> | undefined;
  #readAt = 0;

  constructor(millrace: Millrace) {
    this.#millrace = millrace;
  }

  /** Never rejects: that Redis cannot be read is a figure, too. */
  text(): Promise<string> {
    if (this.#read !== undefined && performance.now() - this.#readAt < KEPT_MS) return this.#read;
    this.#readAt = Number.POSITIVE_INFINITY;
    this.#read = this.#now().finally(() => {
      this.#readAt = performance.now();
    });
    return this.#read;
  }

  async #now(): Promise<string> {
    const began = performance.now();
    const figures = await this.#figures();
    const own = (name: string, help: string, value: number) => family(name, "gauge", help, [[{}, value]]);
    return (
      own("millrace_store_up", "Whether the figures below could be read from Redis.", figures === undefined ? 0 : 1) +
      own("millrace_store_read_seconds", "How long that took.", (performance.now() - began) / 1_000) +
      (figures ?? "")
    );
  }

  async #figures(): Promise<string | undefined> {
    const millrace = this.#millrace;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), WITHIN_MS);
    });
    try {
      const read = await Promise.race([
        Promise.all([millrace.queues(), millrace.workers(), millrace.subscriptions.list()]),
        late,
      ]);
      return read === undefined ? undefined : queueFigures(read[0]) + workerFigures(read[1]) + backlogs(read[2]);
    } catch {
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }
}

function queueFigures(queues: readonly QueueView[]): string {
  const each = (of: (queue: QueueView) => number) =>
    queues.map((queue): [Labels, number] => {
      const { workflow, version, step } = queue;
      return [{ workflow, version, step }, of(queue)];
    });
  const gauge = (name: string, help: string, of: (queue: QueueView) => number) => family(name, "gauge", help, each(of));
  const lanes = queues.flatMap(({ workflow, version, step, lanes = {} }) =>
    Object.entries(lanes).map(([lane, depth]): [Labels, number] => [{ workflow, version, step, lane }, depth]),
  );
  return [
    gauge("millrace_queue_depth", "Entries of a step that no worker has taken yet.", ({ depth }) => depth),
    family("millrace_queue_lane_depth", "gauge", "The same by lane, where priorities are used.", lanes),
    gauge("millrace_queue_in_flight", "Entries of a step that a worker has in hand.", ({ inFlight }) => inFlight),
    gauge("millrace_queue_delayed", "Of a step, what waits for a time to come.", ({ delayed }) => delayed),
    gauge("millrace_queue_limited", "Of a step, what waits for a limit.", ({ limited }) => limited),
    gauge("millrace_queue_dead_letters", "Of a step, what failed for good.", ({ dead }) => dead),
    gauge(
      "millrace_queue_oldest_age_seconds",
      "The age of the oldest entry of a step; 0 if there is none.",
      ({ oldestAgeMs }) => oldestAgeMs / 1_000,
    ),
    gauge("millrace_queue_workers", "Live worker processes that serve a step.", ({ workers }) => workers),
    gauge("millrace_queue_paused", "1 if a step or its workflow is paused, else 0.", ({ paused }) => (paused ? 1 : 0)),
  ].join("");
}

function workerFigures(workers: readonly WorkerView[]): string {
  const alive = workers.filter((worker) => worker.alive).length;
  const errors = Object.entries(sumErrors(workers)).map(([name, count]): [Labels, number] => [{ class: name }, count]);
  const states: [Labels, number][] = [
    [{ state: "alive" }, alive],
    [{ state: "silent" }, workers.length - alive],
  ];
  return (
    family(
      "millrace_workers",
      "gauge",
      "Workers and consumers of subscriptions, by whether their reads finish.",
      states,
    ) +
    family(
      "millrace_worker_reader_errors",
      "gauge",
      "What reads of the workers that are listed have failed with, by class.",
      errors,
    )
  );
}

function backlogs(subscriptions: readonly SubscriptionView[]): string {
  const gauge = (name: string, help: string, of: (each: SubscriptionView) => number) =>
    family(
      name,
      "gauge",
      help,
      subscriptions.map((each) => [{ group: each.group }, of(each)]),
    );
  const ageOf = ({ oldestAt }: SubscriptionView) =>
    oldestAt === undefined ? 0 : Math.max(0, Date.now() - Date.parse(oldestAt)) / 1_000;
  return [
    gauge("millrace_subscription_waiting", "Events of a group that no consumer has taken.", ({ waiting }) => waiting),
    gauge("millrace_subscription_in_hand", "Events that a consumer has in hand.", ({ inHand }) => inHand),
    gauge("millrace_subscription_retrying", "Events that wait to be tried again.", ({ retrying }) => retrying),
    gauge("millrace_subscription_dead_letters", "Events that failed for good.", ({ deadLetters }) => deadLetters),
    gauge("millrace_subscription_bytes", "What the events of a group take.", ({ bytes }) => bytes),
    gauge("millrace_subscription_oldest_age_seconds", "The age of the oldest event; 0 if there is none.", ageOf),
    gauge("millrace_subscription_paused", "1 if a group takes no events, else 0.", ({ paused }) =>
      paused === undefined ? 0 : 1,
    ),
  ].join("");
}
