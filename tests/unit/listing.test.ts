import { expect, test } from "vitest";
import { pageOf } from "../../engine/listing.ts";
import type { Records } from "../../engine/records.ts";

/** An index in memory that changes between two reads of it. */
class Index {
  readonly #members: [string, number][];
  readonly #meanwhile: (members: [string, number][]) => void;

  constructor(members: [string, number][], meanwhile: (members: [string, number][]) => void = () => {}) {
    this.#members = members;
    this.#meanwhile = meanwhile;
  }

  async newest(_: string, fromMs: number, offset: number, count: number): Promise<[string, number][]> {
    const sorted = this.#members
      .filter(([, ms]) => ms <= fromMs)
      .sort(([a, at], [b, bt]) => bt - at || (a < b ? 1 : -1));
    const read = sorted.slice(offset, offset + count);
    this.#meanwhile(this.#members);
    return read;
  }

  /** The ids that the pages of a list have whose filter only takes what `wanted` does. */
  async pages(wanted: (id: string) => boolean, limit: number): Promise<string[]> {
    const found: string[] = [];
    let cursor: string | undefined;
    do {
      const options = cursor === undefined ? { limit } : { limit, cursor };
      const read = async (ids: string[]) => ids.map((id) => (wanted(id) ? id : undefined));
      const page = await pageOf(this as unknown as Records, ["index"], options, read);
      found.push(...page.data);
      cursor = page.next;
    } while (cursor !== undefined);
    return found;
  }
}

const name = (i: number) => `r${String(i).padStart(5, "0")}`;
const members = (count: number, msOf: (i: number) => number = (i) => i): [string, number][] =>
  Array.from({ length: count }, (_, i) => [name(i), msOf(i)]);
const wanted = (id: string) => id.endsWith("7");
const expected = (count: number) =>
  members(count)
    .map(([id]) => id)
    .filter(wanted)
    .reverse();

test("what comes while a page is read is not there to have others twice", async () => {
  let next = 1_000;
  const index = new Index(members(1_000), (all) => {
    for (let i = 0; i < 30; i += 1, next += 1) all.push([name(next), next]);
  });
  const found = await index.pages(wanted, 100);
  expect(found.filter((id) => id < name(1_000))).toEqual(expected(1_000));
});

test("what goes while a page is read takes no others along", async () => {
  const index = new Index(members(1_000), (all) => {
    // Those that were read already, and are none that are wanted.
    for (let i = all.length - 1, gone = 0; i >= 0 && gone < 30; i -= 1)
      if (!wanted(all[i]![0])) {
        all.splice(i, 1);
        gone += 1;
      }
  });
  expect(await index.pages(wanted, 100)).toEqual(expected(1_000));
});

test.each([1, 7, 100])("of many of one millisecond each is there once, %i at a time", async (limit) => {
  const index = new Index(members(1_000, (i) => Math.floor(i / 350)));
  expect(await index.pages(wanted, limit)).toEqual(expected(1_000));
});
