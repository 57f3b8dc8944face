import * as v from "valibot";
import type { RunView } from "../../engine/index.ts";
import type { EngineUnderTest } from "./engine-under-test.ts";
import { Gates } from "./gates.ts";

/** The input of the limited workflows of tests: whose run it is, and which. */
export const input = v.object({ user: v.string(), n: v.number() });
type Input = v.InferOutput<typeof input>;

/** A handler that says who is at work, and goes on when the test lets it. */
export class Handlers {
  readonly gates = new Gates();
  readonly begun: string[] = [];
  most = 0;
  #atWork = 0;
  readonly #listeners = new Set<() => void>();

  readonly run = async ({ user, n }: Input, ctx: { signal: AbortSignal }): Promise<number> => {
    this.begun.push(`${user}${n}`);
    this.#atWork += 1;
    this.most = Math.max(this.most, this.#atWork);
    for (const listener of this.#listeners) listener();
    try {
      await this.gates.pass(`${user}${n}`, ctx.signal);
    } finally {
      this.#atWork -= 1;
    }
    return n;
  };

  /** Resolves when that many have begun. */
  async begin(count: number): Promise<string[]> {
    while (this.begun.length < count) {
      const more = Promise.withResolvers<void>();
      this.#listeners.add(more.resolve);
      await more.promise;
      this.#listeners.delete(more.resolve);
    }
    return this.begun;
  }
}

export async function start(engine: EngineUnderTest, name: string, user: string, n: number): Promise<string> {
  return (await engine.millrace.runs.start(name, { user, n })).id;
}

/** The run, as soon as it waits. */
export async function waits(engine: EngineUnderTest, id: string): Promise<RunView> {
  await engine.until(id, ({ type }) => type === "run.waiting");
  return engine.millrace.runs.get(id);
}
