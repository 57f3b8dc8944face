import type { Millrace, WorkerView } from "../engine/index.ts";

/** A read that takes longer is none that requests could wait for. */
const READ_MS = 3_000;

/** What of a gateway is not well: reads of Redis do not complete, or what is published there is not heard. */
export type Unwell = "reads" | "events";

export interface Readiness {
  unwell: Unwell[];
  /** Undefined if they could not be read. */
  workers: { alive: number; silent: number } | undefined;
}

/** @returns says whether this process can serve, by reading; who asks meanwhile is told the same, as anybody may ask */
export function readinessOf(millrace: Millrace): () => Promise<Readiness> {
  let found: Promise<Readiness> | undefined;
  return () => {
    found ??= find(millrace).finally(() => {
      found = undefined;
    });
    return found;
  };
}

async function find(millrace: Millrace): Promise<Readiness> {
  const all = await readWorkers(millrace);
  const unwell: Unwell[] = [...(all === undefined ? ["reads" as const] : []), ...hearing(millrace)];
  const alive = all?.filter((worker) => worker.alive).length ?? 0;
  return { unwell, workers: all && { alive, silent: all.length - alive } };
}

function hearing(millrace: Millrace): Unwell[] {
  return millrace.hears() ? [] : ["events"];
}

/** Undefined if they cannot be read, or not in time. */
async function readWorkers(millrace: Millrace): Promise<WorkerView[] | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), READ_MS);
  });
  try {
    return await Promise.race([millrace.workers(), late]);
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}
