import { readFile } from "node:fs/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { Random } from "../support/faults/random.ts";
import { newSeed, sized, TIMEOUT_MS } from "../support/faults/settings.ts";
import { Copy } from "../support/mutants/copy.ts";
import { MUTANTS, type Mutant } from "../support/mutants/table.ts";
import { ROOT } from "../support/run.ts";

const seed = newSeed();
const tried = some(MUTANTS, sized(3, MUTANTS.length), seed);
console.log(`${tried.length} of ${MUTANTS.length} mutants, SEED=${seed}`);

let copy: Copy;
beforeAll(async () => {
  copy = await Copy.make();
});

test("what each mutant takes out stands in its file, once", async () => {
  const times = async ({ file, search }: Mutant) => (await readFile(`${ROOT}${file}`, "utf8")).split(search).length - 1;
  for (const mutant of MUTANTS) expect([mutant.name, await times(mutant)]).toEqual([mutant.name, 1]);
});

/** A suite that passes without a rule says nothing about it. */
describe(
  "the suite fails without a rule",
  () => {
    test("and passes with all of them", async () => {
      const files = [...new Set(tried.flatMap((mutant) => mutant.in))];
      const names = tried.map(({ tests }) => tests.source).join("|");
      const { passed, failed, output } = await copy.run(files, new RegExp(`(${names})`));
      expect(failed, output).toEqual([]);
      for (const { tests } of tried) expect(passed, output).toContainEqual(expect.stringMatching(tests));
    });

    test.each(tried.map((mutant) => [mutant.name, mutant] as const))("%s", async (_, mutant) => {
      const { failed, output } = await copy.without(mutant);
      expect(failed, output).not.toEqual([]);
    });
  },
  2 * TIMEOUT_MS,
);

/** So many of them, other ones with each seed. */
function some(mutants: readonly Mutant[], count: number, seed: number): Mutant[] {
  const random = new Random(seed);
  const left = [...mutants];
  return Array.from({ length: count }, () => left.splice(random.whole(0, left.length - 1), 1)[0]!);
}
