import { useEffect, useState } from "preact/hooks";
import type { QueueView } from "../../../../engine/index.ts";
import { getText } from "../ask.ts";
import { follow } from "../live.ts";
import { key } from "../session.ts";

/** So many samples are kept: ten minutes of them. */
const MOST = 300;

/** How things stood at one time. */
export interface Sample {
  /** Seconds since 1970. */
  at: number;
  queues: readonly QueueView[];
  workers: number;
  /** Per second since the sample before; null where that is not known. */
  completed: number | null;
  failed: number | null;
  admitted: number | null;
}

/** What was seen since the page was opened first: it is not lost by looking at another one. */
let kept: readonly Sample[] = [];
// Another key sees other runs.
key.subscribe(() => {
  kept = [];
});

/** Counts what steps come to as it is told, and keeps a sample each time that the queues were asked. */
export function useHistory(queues: readonly QueueView[] | undefined, workers: number): readonly Sample[] {
  const [samples, setSamples] = useState(kept);
  const [counts] = useState({
    completed: 0,
    failed: 0,
    isLive: false,
    since: performance.now(),
    admitted: undefined as number | undefined,
  });

  useEffect(
    () =>
      follow(undefined, {
        event({ type }) {
          if (type === "step.completed") counts.completed += 1;
          if (type === "step.failed" || type === "step.retrying") counts.failed += 1;
        },
        connection(isLive) {
          counts.isLive = isLive;
        },
      }),
    [counts],
  );

  useEffect(() => {
    if (queues === undefined) return;
    const abort = new AbortController();
    const add = (admitted: number | undefined) => {
      if (abort.signal.aborted) return;
      const now = performance.now();
      const seconds = Math.max(0.2, (now - counts.since) / 1_000);
      const rate = (count: number) => (counts.isLive ? count / seconds : null);
      const before = counts.admitted;
      const began = admitted === undefined || before === undefined ? null : Math.max(0, admitted - before) / seconds;
      const sample = {
        at: Date.now() / 1_000,
        queues,
        workers,
        completed: rate(counts.completed),
        failed: rate(counts.failed),
        admitted: began,
      };
      Object.assign(counts, { completed: 0, failed: 0, since: now, admitted });
      kept = [...kept.slice(1 - MOST), sample];
      setSamples(kept);
    };
    getText("/metrics", abort.signal).then(
      (text) => add(admittedIn(text)),
      () => add(undefined),
    );
    return () => abort.abort();
  }, [queues]);
  return samples;
}

/** How many runs the gateway has accepted, by the figures that it tells. */
function admittedIn(metrics: string): number | undefined {
  const values = [...metrics.matchAll(/^millrace_admissions_total\{[^}]*created="true"[^}]*\} (\S+)$/gm)];
  return values.reduce((sum, [, value]) => sum + Number(value), 0);
}
