import * as fc from "fast-check";
import { expect, test } from "vitest";
import { type MarkSet, type ObjectKey, type Objects, pathOf } from "../../engine/blobs/objects.ts";
import { SharedContents } from "../../engine/blobs/shared-contents.ts";

/** Objects of which every call takes place at a moment that the test chooses. */
class ScheduledObjects implements Objects {
  readonly #scheduler: fc.Scheduler;
  readonly objects = new Set<string>();
  readonly names = new Map<string, Set<string>>();
  /** How many calls are made before one fails. */
  left = Number.POSITIVE_INFINITY;

  constructor(scheduler: fc.Scheduler) {
    this.#scheduler = scheduler;
  }

  #at<T>(what: string, act: () => T): Promise<T> {
    if (--this.left < 0) return this.#scheduler.schedule(Promise.reject(new Error("away")), what);
    return this.#scheduler.schedule(Promise.resolve(), what).then(act);
  }

  write(key: ObjectKey): Promise<void> {
    return this.#at(`write ${pathOf(key)}`, () => void this.objects.add(pathOf(key)));
  }
  async read(): Promise<undefined> {}
  size(key: ObjectKey): Promise<number | undefined> {
    return this.#at(`size ${pathOf(key)}`, () => (this.objects.has(pathOf(key)) ? 1 : undefined));
  }
  remove(key: ObjectKey): Promise<void> {
    return this.#at(`remove ${pathOf(key)}`, () => void this.objects.delete(pathOf(key)));
  }
  mark(set: MarkSet, name: string): Promise<void> {
    const names = this.names.get(pathOf(set)) ?? new Set();
    this.names.set(pathOf(set), names);
    return this.#at(`mark ${pathOf(set)} ${name}`, () => void names.add(name));
  }
  unmark(set: MarkSet, name: string): Promise<void> {
    return this.#at(`unmark ${pathOf(set)} ${name}`, () => void this.names.get(pathOf(set))?.delete(name));
  }
  async *marks(set: MarkSet, start = ""): AsyncGenerator<string, void, undefined> {
    yield* await this.#at(`marks ${pathOf(set)}`, () =>
      [...(this.names.get(pathOf(set)) ?? [])].filter((name) => name.startsWith(start)).sort(),
    );
  }

  get allNames(): string[] {
    return [...this.names].flatMap(([set, names]) => [...names].map((name) => `${set}/${name}`));
  }
}

const tenant = "t";
const digest = "d".repeat(64);

/** Puts and deletes of documents with the same bytes, as a store makes them. */
class Documents {
  readonly objects: ScheduledObjects;
  readonly #shared: SharedContents;
  readonly contents = new Map<string, string>();
  readonly deleting = new Set<string>();

  constructor(scheduler: fc.Scheduler) {
    this.objects = new ScheduledObjects(scheduler);
    this.#shared = new SharedContents(this.objects);
  }

  async put(id: string): Promise<void> {
    await this.objects.write({ kind: "content", tenant, id });
    this.contents.set(id, await this.#shared.join(tenant, digest, id, id));
  }

  async delete(id: string): Promise<void> {
    this.deleting.add(id);
    await this.#shared.leave(tenant, digest, this.contents.get(id)!, id);
    this.contents.delete(id);
    this.deleting.delete(id);
  }

  /** Documents whose bytes are gone, of those that nobody has asked to delete. */
  get lost(): string[] {
    const has = (content: string) => this.objects.objects.has(`content/${tenant}/${content}`);
    return [...this.contents].filter(([id, content]) => !this.deleting.has(id) && !has(content)).map(([id]) => id);
  }
}

const counts = fc.record({ before: fc.integer({ min: 1, max: 3 }), puts: fc.integer({ min: 1, max: 3 }) });

test("no document loses its bytes, however puts and deletes cross; and with the last everything is gone", async () => {
  let sharedOnce = 0;
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), counts, async (scheduler, { before, puts }) => {
      const documents = new Documents(scheduler);
      const old = Array.from({ length: before }, (_, i) => `old${i}`);
      for (const id of old) await scheduler.waitFor(documents.put(id));
      const fresh = Array.from({ length: puts }, (_, i) => `new${i}`);
      const all = Promise.all([...old.map((id) => documents.delete(id)), ...fresh.map((id) => documents.put(id))]);
      await scheduler.waitFor(all);
      expect(documents.lost).toEqual([]);
      sharedOnce += fresh.filter((id) => documents.contents.get(id) !== id).length;
      await scheduler.waitFor(Promise.all(fresh.map((id) => documents.delete(id))));
      expect([...documents.objects.objects]).toEqual([]);
      expect(documents.objects.allNames).toEqual([]);
    }),
    { numRuns: 3_000 },
  );
  expect(sharedOnce).toBeGreaterThan(0);
});

test("none does if the service goes away in the middle", async () => {
  const left = fc.integer({ min: 0, max: 30 });
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), counts, left, async (scheduler, { before, puts }, calls) => {
      const documents = new Documents(scheduler);
      const old = Array.from({ length: before }, (_, i) => `old${i}`);
      for (const id of old) await scheduler.waitFor(documents.put(id));
      documents.objects.left = calls;
      const fresh = Array.from({ length: puts }, (_, i) => `new${i}`);
      const all = Promise.allSettled([
        ...old.map((id) => documents.delete(id)),
        ...fresh.map((id) => documents.put(id)),
      ]);
      await scheduler.waitFor(all);
      documents.objects.left = Number.POSITIVE_INFINITY;
      expect(documents.lost).toEqual([]);
      // What was cut is finished by being asked again, and harms nothing that came since.
      const again = Promise.all([...[...documents.deleting].map((id) => documents.delete(id)), documents.put("late")]);
      await scheduler.waitFor(again);
      expect(documents.lost).toEqual([]);
    }),
    { numRuns: 3_000 },
  );
});
