import type { Counter } from "../contenders/chain.ts";

/**
 * Waits until so few of `added` chains have not ended.
 *
 * @param within ms; of each look at Redis, the last ones are about a millisecond apart
 * @throws Error if that takes longer
 */
export async function untilLeft(counter: Counter, added: number, least = 0, within = 600_000): Promise<void> {
  for (const until = performance.now() + within; ; ) {
    const left = await counter.left(added);
    if (left <= least) return;
    if (performance.now() > until) throw new Error(`${left} of ${added} chains have not ended in ${within} ms.`);
    await new Promise((resolve) => setTimeout(resolve, left - least > added / 10 ? 10 : 1));
  }
}
