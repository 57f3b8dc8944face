import type { Millrace } from "../../engine/index.ts";
import { Registry } from "./registry.ts";
import { SharedFigures } from "./shared.ts";

export type Transport = "websocket" | "sse";

/** The upper bounds of how long events take from their commit to a socket, in seconds. */
const LAGS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** What one gateway process counts, and the figures of all of them that are in Redis. One for all of its ports. */
export class Metrics {
  /** For more figures of the process. */
  readonly registry: Registry = new Registry();
  readonly #shared: SharedFigures;
  readonly #requests = this.registry.counter(
    "millrace_http_requests_total",
    "Requests that were answered, by method, route and status.",
  );
  readonly #durations = this.registry.histogram(
    "millrace_http_request_duration_seconds",
    "From a request to the beginning of its answer.",
  );
  readonly #refusals = this.registry.counter(
    "millrace_refusals_total",
    "Requests that were told to come back later, by status and the code of the problem.",
  );
  readonly #admissions = this.registry.counter(
    "millrace_admissions_total",
    "Runs that were accepted, by workflow; with created=false the run of an earlier request was given.",
  );
  readonly #sent = this.registry.counter(
    "millrace_events_sent_total",
    "Events that were handed to sockets and streams.",
  );
  readonly #lag = this.registry.histogram(
    "millrace_event_lag_seconds",
    "From the commit of an event, by the clock of Redis, to a socket or stream; without those that came before it was opened.",
    LAGS,
  )();
  readonly #sentBy = { websocket: this.#sent({ transport: "websocket" }), sse: this.#sent({ transport: "sse" }) };
  readonly #open: Record<Transport, number> = { websocket: 0, sse: 0 };
  #isConnected = true;

  constructor(millrace: Millrace) {
    this.#shared = new SharedFigures(millrace);
    millrace.onConnection((isConnected) => {
      this.#isConnected = isConnected;
    });
    const { registry } = this;
    registry.reads("millrace_open_sockets", "gauge", "WebSockets that are open.", () => this.#open.websocket);
    registry.reads(
      "millrace_open_event_streams",
      "gauge",
      "Streams of Server-Sent Events that are open.",
      () => this.#open.sse,
    );
    registry.reads("millrace_redis_connected", "gauge", "1 while what is published in Redis is heard, else 0.", () =>
      this.#isConnected ? 1 : 0,
    );
  }

  answered(request: { method: string; route: string; status: number; seconds: number }): void {
    const { method, route, status, seconds } = request;
    this.#requests({ method, route, status }).add();
    this.#durations({ method, route }).observe(seconds);
  }

  refused(status: number, code = ""): void {
    this.#refusals({ status, code }).add();
  }

  admitted(workflow: string, created: boolean): void {
    this.#admissions({ workflow, created: String(created) }).add();
  }

  /** A socket or a stream is open until the signal is aborted. @returns what is to be told of each message that it carries */
  opened(transport: Transport, signal: AbortSignal): (message: object) => void {
    this.#open[transport] += 1;
    const closed = () => {
      this.#open[transport] -= 1;
    };
    signal.addEventListener("abort", closed, { once: true });
    const openedAt = Date.now();
    const sent = this.#sentBy[transport];
    return (message) => {
      if (!("seq" in message && "at" in message && typeof message.at === "string")) return;
      sent.add();
      const at = Date.parse(message.at);
      if (at >= openedAt) this.#lag.observe(Math.max(0, Date.now() - at) / 1_000);
    };
  }

  /** Everything in the text format of Prometheus. Redis is asked once a second at the most; while it is away its part is missing. */
  async text(): Promise<string> {
    const shared = await this.#shared.text();
    return this.registry.text() + shared;
  }
}
