import { afterEvent } from "./fold.ts";
import { isPassing } from "./http.ts";
import type { Live } from "./live.ts";
import { backoffMs, pause } from "./retry.ts";
import type { Event, Message, Run, Typed, Untyped } from "./types.ts";

/** So many of what each step has emitted are kept: the last ones. */
const EMITTED = 1_000;
/** Of a run that cannot be read just now: beside those of each read itself, some minutes in all. */
const READS = 20;

/** How a run stands, as far as is known. Another object after every change. */
export interface RunState<W extends Typed = Untyped> {
  /** Undefined until it was read first. */
  run: Run<W> | undefined;
  /** What its steps have emitted, by their names: the last thousand of each. */
  emitted: Readonly<Record<string, readonly unknown[]>>;
  /** `live`: what happens is seen at once; `connecting`: what happens meanwhile follows; `ended`: nothing more comes. */
  connection: "connecting" | "live" | "ended";
  /** Why it cannot be watched, or not just now. */
  error: unknown;
}

/** A run as a store: what `useSyncExternalStore` and its like read. It watches for as long as somebody has subscribed. */
export interface RunStore<W extends Typed = Untyped> {
  /** @returns ends the subscription */
  subscribe(listener: () => void): () => void;
  getSnapshot(): RunState<W>;
}

/** @param read the run as it stands @param live what it is watched with */
export function runStore(live: Live, id: string, read: (signal: AbortSignal) => Promise<Run>): RunStore {
  const listeners = new Set<() => void>();
  let state: RunState = { run: undefined, emitted: {}, connection: "connecting", error: undefined };
  let stop: (() => void) | undefined;

  function set(change: Partial<RunState>): void {
    state = { ...state, ...change };
    for (const listener of [...listeners])
      try {
        listener();
      } catch (error) {
        // One that fails is no reason for the others, nor for the watch.
        queueMicrotask(() => {
          throw error;
        });
      }
  }

  async function readOften(signal: AbortSignal): Promise<Run> {
    for (let failures = 0; ; failures += 1) {
      try {
        return await read(signal);
      } catch (error) {
        if (signal.aborted || !isPassing(error) || failures >= READS) throw error;
        set({ error });
        await pause(backoffMs(failures), signal);
      }
    }
  }

  function take(message: Message, signal: AbortSignal): void {
    if (message.type === "reset") set({ run: message.snapshot, emitted: {} });
    else {
      set(changeBy(message));
      // What it waits for is in no event.
      if (message.type === "run.waiting") void readAgain(signal);
    }
  }

  function changeBy(event: Event): Partial<RunState> {
    const { run, emitted } = state;
    const { type, step, data, seq } = event;
    // It was read first, and its events are told from the beginning, for what was emitted.
    const change = run !== undefined && seq > run.seq ? { run: afterEvent(run, event) } : {};
    if (type !== "step.output" || step === undefined) return change;
    const all = [...(emitted[step] ?? []).slice(1 - EMITTED), data];
    return { ...change, emitted: { ...emitted, [step]: all } };
  }

  async function readAgain(signal: AbortSignal): Promise<void> {
    const run = await read(signal).catch(() => undefined);
    if (run !== undefined && !signal.aborted && run.seq >= (state.run?.seq ?? 0)) set({ run });
  }

  async function watch(signal: AbortSignal): Promise<void> {
    try {
      const run = await readOften(signal);
      // Whoever came before has seen what was emitted, which is told anew.
      set({ run, emitted: {}, connection: "connecting", error: undefined });
      signal.throwIfAborted();
      const leave = await new Promise<() => void>((resolve, reject) => {
        const over = live.watch(id, "0", {
          take: (message) => take(message, signal),
          heard: (isLive) => set({ connection: isLive ? "live" : "connecting" }),
          end: (error) => (error === undefined ? resolve(over) : reject(error)),
        });
        signal.addEventListener("abort", () => {
          over();
          reject(signal.reason);
        });
      });
      leave();
      set({ run: await readOften(signal), connection: "ended", error: undefined });
    } catch (error) {
      if (!signal.aborted) set({ error, connection: "ended" });
    }
  }

  return {
    subscribe(listener) {
      listeners.add(listener);
      if (stop === undefined && state.connection !== "ended") {
        const controller = new AbortController();
        stop = () => controller.abort();
        void watch(controller.signal);
      }
      return () => {
        if (!listeners.delete(listener) || listeners.size > 0) return;
        stop?.();
        stop = undefined;
      };
    },
    getSnapshot: () => state,
  };
}
