import { afterEvent } from "./fold.ts";
import type { Live } from "./live.ts";
import { type Changing, newStore, readOften, type Store, type Watched } from "./store.ts";
import type { Event, Message, Run, StepOf, Typed, Untyped } from "./types.ts";

/** So many of what each step has emitted are kept: the last ones. */
const EMITTED = 1_000;

/** How a run stands, as far as is known. */
export interface RunState<W extends Typed = Untyped> extends Watched {
  /** Undefined until it was read first. */
  run: Run<W> | undefined;
  /** What its steps have emitted, by their names: the last thousand of each. */
  emitted: { readonly [N in StepOf<W>]?: readonly unknown[] };
}

/** A run as a store. */
export type RunStore<W extends Typed = Untyped> = Store<RunState<W>>;

/** @param read the run as it stands @param live what it is watched with */
export function runStore(live: Live, id: string, read: (signal: AbortSignal) => Promise<Run>): RunStore {
  const initial: RunState = { run: undefined, emitted: {}, connection: "connecting", error: undefined };
  return newStore(initial, async (of) => {
    const { set, signal } = of;
    const run = await readOften(read, of);
    // Whoever came before has seen what was emitted, which is told anew.
    set({ run, emitted: {}, connection: "connecting", error: undefined });
    signal.throwIfAborted();
    const leave = await new Promise<() => void>((resolve, reject) => {
      const over = live.watch(id, "0", {
        take: (message) => take(message, of),
        heard: (isLive) => set({ connection: isLive ? "live" : "connecting" }),
        end: (error) => (error === undefined ? resolve(over) : reject(error)),
      });
      signal.addEventListener("abort", () => {
        over();
        reject(signal.reason);
      });
    });
    leave();
    set({ run: await readOften(read, of), connection: "ended", error: undefined });
  });

  function take(message: Message, of: Changing<RunState>): void {
    if (message.type === "reset") of.set({ run: message.snapshot, emitted: {} });
    else {
      const change = changeBy(message, of.state());
      if (change !== undefined) of.set(change);
      // What it waits for is in no event.
      if (message.type === "run.waiting") void readAgain(of);
    }
  }

  async function readAgain({ signal, set, state }: Changing<RunState>): Promise<void> {
    const run = await read(signal).catch(() => undefined);
    if (run !== undefined && !signal.aborted && run.seq >= (state().run?.seq ?? 0)) set({ run });
  }
}

function changeBy(event: Event, { run, emitted }: RunState): Partial<RunState> | undefined {
  const { type, step, data, seq } = event;
  // It was read first, and its events are told from the beginning, for what was emitted.
  const change = run !== undefined && seq > run.seq ? { run: afterEvent(run, event) } : undefined;
  if (type !== "step.output" || step === undefined) return change;
  const all = [...(emitted[step] ?? []).slice(1 - EMITTED), data];
  return { ...change, emitted: { ...emitted, [step]: all } };
}
