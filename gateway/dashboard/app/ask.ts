import { useEffect, useRef, useState } from "preact/hooks";
import { isPassing } from "../../client/http.ts";
import { ClientError } from "../../client/index.ts";
import { newKey } from "../../client/retry.ts";
import { gateway, leave } from "./session.ts";

const TRIES = 3;

/** @throws ClientError; the signal's reason; TypeError when the gateway cannot be reached */
export function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return watched(() => gateway.http.json<T>(path, { signal, tries: TRIES }));
}

/** Text that is no JSON. @throws as `get` */
export async function getText(path: string, signal: AbortSignal): Promise<string> {
  return watched(async () => {
    const response = await gateway.http.open(path, { signal });
    if (!response.ok) throw new ClientError((await response.json()) as ClientError["problem"]);
    return response.text();
  });
}

/** Has something done, once whatever becomes of its answer. @returns the JSON of the answer, if it has any @throws as `get` */
export function send<T>(
  method: string,
  path: string,
  json?: unknown,
  headers: Record<string, string> = {},
): Promise<T> {
  const own: Record<string, string> = method === "POST" ? { "Idempotency-Key": newKey() } : {};
  const ask = { method, headers: { ...own, ...headers }, tries: TRIES };
  return watched(async () => {
    if (method !== "DELETE") return gateway.http.json<T>(path, { ...ask, json });
    await gateway.http.ask(path, ask);
    return undefined as T;
  });
}

/** Who is no longer let in is asked to sign in. */
async function watched<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof ClientError && error.status === 401) leave(error);
    throw error;
  }
}

export interface Asked<T> {
  /** What was answered last: so long as it is stale, to another path. */
  data: T | undefined;
  isStale: boolean;
  error: unknown;
  /** Asks again; what is there stays until the answer comes. */
  again(): void;
}

/**
 * What the gateway answers to a GET.
 *
 * @param path undefined: nothing is asked
 * @param everyMs asks again so long after each answer while the page is seen
 */
export function useAsked<T>(path: string | undefined, everyMs?: number): Asked<T> {
  const [state, setState] = useState<{ of: string | undefined; data?: T; error?: unknown }>({ of: path });
  const [turn, setTurn] = useState(0);
  const last = useRef(state);
  last.current = state;

  useEffect(() => {
    if (path === undefined) return;
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const ask = async () => {
      try {
        const known = document.hidden && last.current.of === path ? last.current.data : undefined;
        const data = known ?? (await get<T>(path, abort.signal));
        if (!abort.signal.aborted) setState({ of: path, data: data as T });
      } catch (error) {
        if (abort.signal.aborted) return;
        setState((before) => (before.of === path ? { ...before, error } : { of: path, error }));
        if (!isPassing(error)) return;
      }
      if (everyMs !== undefined && !abort.signal.aborted) timer = setTimeout(ask, everyMs);
    };
    void ask();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [path, everyMs, turn]);

  const isStale = state.of !== path;
  const again = () => setTurn((before) => before + 1);
  return { data: state.data, error: isStale ? undefined : state.error, isStale, again };
}
