// Sockets of the bench, in a process of their own: each watches one run to its end.
import { WebSocket } from "ws";
import { serves } from "../support/child.ts";

const [port, count, stalled] = process.argv.slice(2).map(Number) as [number, number, number];
const latencies: number[] = [];
let received = 0;
let missed = 0;
let left = count - stalled;
let waiting = left;
let messages = 0;
const started = Promise.withResolvers<void>();
const done = Promise.withResolvers<void>();

serves({
  /** Opens the sockets, over the runs from the one of that number on. */
  async open({ runs, from }: { runs: string[]; from: number }) {
    for (let i = 0; i < count; i += 50) {
      const some = Array.from({ length: Math.min(50, count - i) }, (_, k) => i + k);
      await Promise.all(some.map((n) => watch(runs[(from + n) % runs.length]!, n < stalled)));
    }
  },
  /** When each that reads has seen its run begin. */
  started: () => started.promise,
  /** When each that reads has seen the end of its run. */
  async done() {
    await done.promise;
    return { missed, messages, received, latencies: Array.from(latencies, (n) => n ?? 0) };
  },
});

function take(data: string, last: { seq: number }): void {
  const { seq, at, type } = JSON.parse(data) as { seq?: number; at: string; type: string };
  if (seq === undefined) return;
  messages += 1;
  if (type === "step.started") {
    waiting -= 1;
    if (waiting === 0) started.resolve();
  }
  missed += seq - last.seq - 1;
  last.seq = seq;
  // What was stored before it came is no measure.
  if (type === "step.output") {
    const ms = Math.max(0, Date.now() - Date.parse(at));
    latencies[ms] = (latencies[ms] ?? 0) + 1;
    received += 1;
  }
  if (type !== "run.completed") return;
  left -= 1;
  if (left === 0) done.resolve();
}

async function watch(run: string, isStalled: boolean): Promise<void> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/v1/runs/${run}/events`);
  const last = { seq: 0 };
  socket.on("message", (data) => take(String(data), last));
  socket.on("close", (code) => {
    if (code !== 1000 && !isStalled) throw new Error(`A socket was closed with ${code}.`);
  });
  await new Promise((resolve) => socket.once("open", resolve));
  if (isStalled) socket.pause();
}
