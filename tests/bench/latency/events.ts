import { WebSocket } from "ws";
import { connect, type Millrace } from "../../../engine/index.ts";
import { clockMs, definitionsOf, retried, signalled } from "../support/definitions.ts";
import { inTime } from "../support/http.ts";
import { underLoad } from "../support/load.ts";
import type { Bench } from "../support/processes.ts";
import { quantile, spread } from "../support/quantile.ts";
import type { Report } from "../support/report.ts";
import { inTurn } from "../support/rounds.ts";
import { served } from "../support/served.ts";
import { settings } from "../support/settings.ts";

/** A client of the gateway that watches all runs over one socket. */
class Live {
  readonly #socket: WebSocket;
  readonly #seen = new Map<string, number>();
  #onSeen = (): void => {};

  constructor(port: number) {
    this.#socket = new WebSocket(`ws://127.0.0.1:${port}/v1/live`);
    this.#socket.on("message", (data) => {
      const { run } = JSON.parse(String(data)) as { run?: string };
      if (run === undefined || this.#seen.has(run)) return;
      this.#seen.set(run, performance.now());
      this.#onSeen();
    });
  }

  async open(workflow: string): Promise<void> {
    await new Promise((resolve, reject) => this.#socket.once("open", resolve).once("error", reject));
    this.#socket.send(JSON.stringify({ type: "subscribe", workflow }));
    // Its first cursor says that it is heard from there on.
    await new Promise((resolve) => this.#socket.once("message", resolve));
  }

  /** When the first event of a run came. */
  async first(run: string): Promise<number> {
    while (!this.#seen.has(run))
      await new Promise<void>((resolve) => {
        this.#onSeen = resolve;
      });
    return this.#seen.get(run)!;
  }

  close(): void {
    this.#socket.terminate();
  }
}

/** Of what is asked to what is seen, of each so many: admission to the first event, a retry, a signal. */
export async function measureEvents(bench: Bench, report: Report, rate: number): Promise<void> {
  const { url } = bench;
  const { worker, port, http } = await served(bench);
  const loader = bench.start("contender", ["millrace"]);
  const millrace = await connect({ url, workflows: definitionsOf("events") });
  const live = new Live(port);
  // The chains beside it are not watched.
  await live.open("inference");
  const start = async () =>
    (JSON.parse(await http.expect(202, "POST", "/v1/workflows/inference/runs", { input: {} })) as { id: string }).id;
  const measures = {
    "admission over HTTP → first event on an open socket": async () => {
      const from = performance.now();
      return (await live.first(await start())) - from;
    },
    "admission over HTTP → first event on a socket opened then": async () => {
      const from = performance.now();
      return (await firstOnNewSocket(port, await start())) - from;
    },
    "retry due → retry started": () => lateRetry(millrace),
    "signal → step after it started": () => resumed(millrace),
  };
  const rows = [];
  for (const [load, at] of [
    ["idle", 0],
    ["half", rate],
  ] as const) {
    const found = await underLoad(url, loader, at, () =>
      inTurn(Object.fromEntries(Object.entries(measures).map(([name, measure]) => [name, () => many(measure)]))),
    );
    for (const [what, rounds] of Object.entries(found)) {
      const all = rounds.flat();
      rows.push({
        ...{ what, load, "chains/s beside it": Math.round(at) },
        ...{ "p50 ms": quantile(all, 0.5).toFixed(2), "p99 ms": quantile(all, 0.99).toFixed(2) },
        "p50 of the rounds": spread(
          rounds.map((round) => quantile(round, 0.5)),
          2,
        ),
      });
    }
  }
  live.close();
  http.close();
  await millrace.close();
  await worker.call("stop");
  report.details("events, ms", rows);
}

/** A retry takes its while, so of each a third, or as many as 5 s take. */
async function many(measure: () => Promise<number>): Promise<number[]> {
  const took: number[] = [];
  const until = performance.now() + 5_000;
  for (let n = 0; n < settings.calls / 3 && performance.now() < until; n += 1) took.push(await inTime(measure()));
  return took;
}

function firstOnNewSocket(port: number, run: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/runs/${run}/events`);
    socket.once("message", () => {
      resolve(performance.now());
      socket.terminate();
    });
    socket.once("error", reject);
  });
}

async function lateRetry(millrace: Millrace): Promise<number> {
  const { id } = await millrace.runs.start(retried, {});
  let due = Number.NaN;
  for await (const event of millrace.watch(id))
    if (event.type === "step.retrying") due = Date.parse((event.data as { retryAt: string }).retryAt);
  return ((await millrace.runs.get(id)).output as number) - due;
}

async function resumed(millrace: Millrace): Promise<number> {
  const { id } = await millrace.runs.start(signalled, {});
  let from = Number.NaN;
  for await (const event of millrace.watch(id)) {
    if (event.type !== "run.waiting") continue;
    from = clockMs();
    await millrace.runs.signal(id, "go", {});
  }
  return ((await millrace.runs.get(id)).output as number) - from;
}
