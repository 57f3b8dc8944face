import { isPassing } from "./http.ts";
import { backoffMs, pause } from "./retry.ts";

/** What cannot be read just now is asked for again so often: beside the tries of each read itself, some minutes in all. */
const READS = 20;

/** What user interfaces read, as `useSyncExternalStore` and its like do. It watches for as long as somebody has subscribed. */
export interface Store<S> {
  /** @returns ends the subscription */
  subscribe(listener: () => void): () => void;
  /** How it stands, as far as is known. Another object after every change. */
  getSnapshot(): S;
}

/** What every store says of itself. */
export interface Watched {
  /** `live`: what happens is seen at once; `connecting`: what happens meanwhile follows; `ended`: nothing more comes. */
  connection: "connecting" | "live" | "ended";
  /** Why it cannot be watched, or not just now. */
  error: unknown;
}

/** What a store's watch has to do with. */
export interface Changing<S> {
  state(): S;
  set(change: Partial<S>): void;
  /** Aborted once nobody is subscribed any more. */
  signal: AbortSignal;
}

/** @param watch what goes on for as long as somebody has subscribed; what it throws is the state's error, and its end */
export function newStore<S extends Watched>(initial: S, watch: (changing: Changing<S>) => Promise<void>): Store<S> {
  const listeners = new Set<() => void>();
  let state = initial;
  let stop: (() => void) | undefined;

  function set(change: Partial<S>): void {
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

  async function begin({ signal }: AbortController): Promise<void> {
    try {
      await watch({ state: () => state, set, signal });
    } catch (error) {
      if (!signal.aborted) set({ error, connection: "ended" } as Partial<S>);
    }
  }

  return {
    subscribe(listener) {
      listeners.add(listener);
      if (stop === undefined && state.connection !== "ended") {
        const controller = new AbortController();
        stop = () => controller.abort();
        void begin(controller);
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

/** Reads until it can be read, and says meanwhile why it cannot. @throws the signal's reason; what is not passing, or lasts too long */
export async function readOften<T>(read: (signal: AbortSignal) => Promise<T>, of: Changing<Watched>): Promise<T> {
  for (let failures = 0; ; failures += 1) {
    try {
      return await read(of.signal);
    } catch (error) {
      if (of.signal.aborted || !isPassing(error) || failures >= READS) throw error;
      of.set({ error });
      await pause(backoffMs(failures), of.signal);
    }
  }
}
