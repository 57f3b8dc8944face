import type { Worker, WorkerObserver } from "../engine/index.ts";
import type { Listening } from "../gateway/entry/serve.ts";
import { family, Registry } from "../gateway/metrics/registry.ts";
import { metricsApp } from "../gateway/metrics/server.ts";
import { addProcessFigures } from "./process-figures.ts";
import { type Address, listen } from "./serve.ts";

/** What a worker counts of its own, for Prometheus. */
export class WorkerMetrics {
  readonly observer: WorkerObserver;
  readonly #registry = new Registry();

  constructor() {
    const attempts = this.#registry.counter(
      "millrace_step_attempts_total",
      "Attempts that are over, by their outcome.",
    );
    const durations = this.#registry.histogram(
      "millrace_step_duration_seconds",
      "From the beginning of an attempt to its outcome.",
    );
    const refused = this.#registry.counter(
      "millrace_refused_commits_total",
      "Ends of attempts that came too late, and were refused.",
    );
    const reclaimed = this.#registry.counter(
      "millrace_reclaimed_total",
      "Attempts that were taken over from workers that had died.",
    );
    this.observer = {
      attempted(step, outcome, seconds) {
        attempts({ ...step, outcome }).add();
        durations({ ...step }).observe(seconds);
      },
      refused: (step) => refused({ ...step }).add(),
      reclaimed: (step, count) => reclaimed({ ...step }).add(count),
    };
    addProcessFigures(this.#registry);
  }

  /** Serves them until it is closed. @throws CommandError if the address cannot be had */
  async serve(worker: Worker, address: Address): Promise<Listening & { url: string }> {
    const text = () => this.#registry.text() + readFigures(worker);
    return listen(() => metricsApp(text, () => worker.health().alive), address, "--metrics-port");
  }
}

function readFigures(worker: Worker): string {
  const { alive, silentMs, readerErrors } = worker.health();
  const errors = Object.entries(readerErrors).map(([name, count]) => [{ class: name }, count] as const);
  return (
    family("millrace_reader_silent_seconds", "gauge", "How long ago a read last finished.", [[{}, silentMs / 1_000]]) +
    family("millrace_reader_alive", "gauge", "1 if reads finish, else 0.", [[{}, alive ? 1 : 0]]) +
    family("millrace_reader_errors_total", "counter", "What reads have failed with, by class.", errors)
  );
}
