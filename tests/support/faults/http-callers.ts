import type { Journal } from "./journal.ts";

export interface HttpCallersOptions {
  /** Of the gateway. */
  url: string;
  /** What lets them in. */
  headers: Record<string, string>;
  journal: Journal;
  callers: number;
  /** How long each step takes, in ms. */
  ms: number;
}

/** What was answered, and how often nothing was. */
export interface HttpCalled {
  completed: number;
  refused: number;
}

/**
 * Services that start runs by HTTP, each under a key of its own, read the events of each to its end, and try again whatever fails;
 * until `work` is done. What they ask and what they are told is in the journal.
 *
 * @throws what `work` throws
 */
export async function httpCallers(options: HttpCallersOptions, work: Promise<unknown>): Promise<HttpCalled> {
  const { url, headers, journal, callers, ms } = options;
  const called = { completed: 0, refused: 0 };
  const over = new AbortController();
  const done = work.finally(() => over.abort());
  /** What is answered at last; undefined when it is over. */
  const asked = async (path: string, init: RequestInit): Promise<Response | undefined> => {
    while (!over.signal.aborted) {
      try {
        const answer = await fetch(url + path, {
          ...init,
          headers: { ...headers, ...init.headers },
          signal: AbortSignal.timeout(30_000),
        });
        if (answer.ok) return answer;
        if (answer.status < 500 && answer.status !== 429)
          throw new UnexpectedAnswer(`${path}: ${answer.status} ${await answer.text()}`);
        await answer.body?.cancel();
      } catch (error) {
        if (error instanceof UnexpectedAnswer) throw error;
      }
      called.refused += 1;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return undefined;
  };
  const caller = async (first: number) => {
    for (let n = first; !over.signal.aborted; n += callers) {
      const key = `http${n}`;
      journal.add({ what: "asked", key, tenant: "default" });
      const start = await asked("/v1/workflows/journey/runs", {
        method: "POST",
        headers: { "Content-Type": "application/json", "Idempotency-Key": key },
        body: JSON.stringify({ input: { key, by: "", ms } }),
      });
      if (start === undefined) return;
      const { id, workflow } = (await start.json()) as { id: string; workflow: string };
      journal.add({ what: "acknowledged", key, tenant: "default", run: id, workflow });
      if (await endOf(id, asked)) called.completed += 1;
    }
  };
  await Promise.all([done, ...Array.from({ length: callers }, (_, i) => caller(i))]);
  return called;
}

class UnexpectedAnswer extends Error {}

/** Reads a run's events to the end, from the last one on again when the stream breaks. False if it was over before. */
async function endOf(run: string, asked: (path: string, init: RequestInit) => Promise<Response | undefined>) {
  for (let last = ""; ; ) {
    const answer = await asked(`/v1/runs/${run}/events`, { headers: last === "" ? {} : { "Last-Event-ID": last } });
    if (answer === undefined) return false;
    let text = "";
    try {
      for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) text += chunk;
    } catch {
      // What came of it counts.
    }
    const whole = text.slice(0, text.lastIndexOf("\n\n") + 2);
    if (/"type":"run\.(completed|failed|cancelled)"/.test(whole)) return true;
    last = [...whole.matchAll(/^id: (.+)$/gm)].at(-1)?.[1] ?? last;
  }
}
