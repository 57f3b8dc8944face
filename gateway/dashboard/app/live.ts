import { errorOf, isPassing } from "../../client/http.ts";
import { ClientError } from "../../client/index.ts";
import { backoffMs, pause } from "../../client/retry.ts";
import { framesOf } from "../../client/sse.ts";
import type { Event } from "../../client/types.ts";
import { gateway } from "./session.ts";

/** A stream over which not even a comment has come for so long is dead: there is one every 15 s. */
const SILENT_MS = 40_000;

/** An event of one of many runs. */
export type LiveEvent = Event & { workflow: string };

export interface Listener {
  event(event: LiveEvent): void;
  /** What came meanwhile is not told: whoever shows a list reads it when it is live. @param error why it will not be again */
  connection(isLive: boolean, error?: unknown): void;
}

/** What happens to all runs, or those of a workflow, from now on and for as long as the page is seen. @returns ends it */
export function follow(workflow: string | undefined, listener: Listener): () => void {
  const over = new AbortController();
  void keepOpen(workflow, listener, over.signal);
  return () => over.abort();
}

async function keepOpen(workflow: string | undefined, listener: Listener, over: AbortSignal): Promise<void> {
  for (let failures = 0; !over.aborted; failures += 1) {
    try {
      await seen(over);
      await stream(workflow, listener, over, () => {
        failures = 0;
      });
    } catch (error) {
      if (over.aborted) return;
      if (error instanceof ClientError && !isPassing(error)) return listener.connection(false, error);
    }
    if (over.aborted) return;
    listener.connection(false);
    await pause(backoffMs(failures), over).catch(() => {});
  }
}

async function stream(
  workflow: string | undefined,
  listener: Listener,
  over: AbortSignal,
  opened: () => void,
): Promise<void> {
  const gone = new AbortController();
  const close = () => gone.abort();
  const hidden = () => document.hidden && close();
  let silence = setTimeout(close, SILENT_MS);
  // A browser has few connections to one host for all of its tabs.
  document.addEventListener("visibilitychange", hidden);
  addEventListener("offline", close);
  try {
    const query = new URLSearchParams(workflow === undefined ? { all: "true" } : { workflow });
    const signal = AbortSignal.any([over, gone.signal]);
    const response = await gateway.http.open(`/v1/live?${query}`, { headers: { Accept: "text/event-stream" }, signal });
    if (!response.ok) throw await errorOf(response);
    opened();
    listener.connection(true);
    for await (const frame of framesOf(response.body!)) {
      clearTimeout(silence);
      silence = setTimeout(close, SILENT_MS);
      if (over.aborted) return;
      const message = frame === undefined ? undefined : (JSON.parse(frame.data) as Partial<LiveEvent>);
      if (message?.seq !== undefined && message.at !== undefined) listener.event(message as LiveEvent);
    }
  } finally {
    clearTimeout(silence);
    document.removeEventListener("visibilitychange", hidden);
    removeEventListener("offline", close);
    close();
  }
}

/** Resolves when the page is seen. */
function seen(over: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = () => {
      if (document.hidden && !over.aborted) return;
      document.removeEventListener("visibilitychange", look);
      over.removeEventListener("abort", look);
      if (over.aborted) reject(over.reason);
      else resolve();
    };
    document.addEventListener("visibilitychange", look);
    over.addEventListener("abort", look);
    look();
  });
}
