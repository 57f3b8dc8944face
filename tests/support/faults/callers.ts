import * as v from "valibot";
import { expect } from "vitest";
import { NotFoundError, UnavailableError, workflow } from "../../../engine/index.ts";
import type { EngineUnderTest } from "../engine-under-test.ts";

/** Gives twice the number after that it was given. */
export const chain = workflow("chain", { input: v.object({ n: v.number() }) })
  .step("one", ({ n }) => ({ n: n + 1 }))
  .step("two", ({ n }) => 2 * n);

export interface Called {
  completed: number;
  /** How often a start or a read was refused, and tried again: a start under its key. */
  refused: number;
  /** Runs that are gone, where that may be. */
  lost: number;
}

export interface CallersOptions {
  /** How many start runs at once. */
  count?: number;
  /** How long each of them rests after a run, in ms. Default 0. */
  restMs?: number;
  /** Whether Redis may lose what it has said is stored: then a log may have to be read anew, and a run may be gone. */
  lossy?: boolean;
}

/**
 * Starts runs one after the other, and watches each from its first event to its last, in each of whose numbers there is no gap,
 * until `work` is done. @throws what `work` throws
 */
export async function callers(
  engine: EngineUnderTest,
  work: Promise<unknown>,
  { count = 4, restMs = 0, lossy = false }: CallersOptions = {},
): Promise<Called> {
  const called = { completed: 0, refused: 0, lost: 0 };
  const { millrace } = engine;
  let going = true;
  const done = work.finally(() => {
    going = false;
  });
  const answered = async <T>(call: () => Promise<T>): Promise<T> => {
    for (;;)
      try {
        return await call();
      } catch (error) {
        if (!(error instanceof UnavailableError)) throw error;
        called.refused += 1;
        await lasting(20);
      }
  };
  const watched = async (run: string) => {
    for (const signal = AbortSignal.timeout(25_000); ; ) {
      let seq = 0;
      for await (const event of millrace.watch(run, { signal })) {
        if (event.type === "reset") break;
        expect(event.seq).toBe(++seq);
        if (event.type === "run.completed") return;
      }
      if (!lossy || signal.aborted) throw new Error(`Run ${run} did not end.`);
    }
  };
  const caller = async (first: number) => {
    for (let n = first; going; n += count)
      try {
        const idempotency = { scope: "callers", key: String(n), digest: "" };
        const { id } = await answered(() => millrace.runs.start(chain, { n }, { idempotency }));
        await watched(id);
        if (!lossy) expect(await answered(() => millrace.runs.get(id))).toMatchObject({ output: 2 * (n + 1) });
        called.completed += 1;
        await lasting(restMs);
      } catch (error) {
        if (!(lossy && error instanceof NotFoundError)) throw error;
        called.lost += 1;
      }
  };
  await Promise.all([done, ...Array.from({ length: count }, (_, i) => caller(i))]);
  return called;
}

const lasting = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
