import { useCallback, useSyncExternalStore } from "react";
import type { Client, ListState, RunFilter, RunState, Typed, Untyped } from "../index.ts";
import type { Watched } from "../store.ts";
import { NO_RUN, NO_RUNS, Shared, type Watchable } from "./shared.ts";

/** A state of the client's, or that there is nothing to show. */
export type Shown<S extends Watched> = Omit<S, "connection"> & { connection: S["connection"] | "idle" };

const IDLE_RUN: Shown<RunState> = { ...NO_RUN, connection: "idle" };
const IDLE_RUNS: Shown<ListState> = { ...NO_RUNS, connection: "idle" };

/**
 * A run as it goes: `useRun<typeof greet>(client, id)`. It is watched for as long as a component shows it, once for all of them.
 *
 * @param id without one nothing is asked for, and `connection` is `idle`
 */
export function useRun<W extends Typed = Untyped>(client: Client, id: string | null | undefined): Shown<RunState<W>> {
  const what = typeof id === "string" ? { run: id } : undefined;
  return useShared(client, what, what ? NO_RUN : IDLE_RUN) as Shown<RunState<W>>;
}

/**
 * A page of runs that stays current. It is watched for as long as a component shows it, once for all of them.
 *
 * @param filter `{}` for all; without one nothing is asked for, and `connection` is `idle`
 */
export function useRuns(client: Client, filter: RunFilter | null | undefined): Shown<ListState> {
  const { workflow, status, tag, limit, cursor } = filter ?? {};
  // One that is given inline is another object each time, and the same filter.
  const what = filter ? { list: { workflow, status, tag, limit, cursor } } : undefined;
  return useShared(client, what, what ? NO_RUNS : IDLE_RUNS);
}

/** @param initial the state before anything is known, and on a server */
function useShared<S>(client: Client, what: Watchable | undefined, initial: S): S {
  const key = what && JSON.stringify(what);
  const subscribe = useCallback(
    (listener: () => void) => (key === undefined ? () => {} : Shared.of(client).subscribe(key, listener)),
    [client, key],
  );
  const stateOf = () => ((key !== undefined && Shared.of(client).stateOf(key)) || initial) as S;
  return useSyncExternalStore(subscribe, stateOf, () => initial);
}
