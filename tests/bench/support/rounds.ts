import { settings } from "./settings.ts";

/**
 * Measures all that is compared in turn, A B A B …, with a first round that warms the compilers up and is not counted.
 *
 * @returns of each what its rounds gave
 */
export async function inTurn<K extends string, T>(
  measures: Record<K, () => Promise<T>>,
  rounds = settings.rounds,
): Promise<Record<K, T[]>> {
  const found = Object.fromEntries(Object.keys(measures).map((name) => [name, []])) as unknown as Record<K, T[]>;
  for (let round = 0; round <= rounds; round += 1)
    for (const [name, measure] of Object.entries(measures) as [K, () => Promise<T>][]) {
      const value = await measure();
      if (round > 0) found[name].push(value);
    }
  return found;
}
