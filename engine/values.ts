import { type BlobStore, OwnedBlobs } from "./blobs/blob-store.ts";
import { FatalError } from "./errors.ts";
import { type Graph, shapeOf } from "./graph.ts";
import { CHUNK } from "./keys.ts";
import { blobOf, encodeValue, isSpread, loadValue, storeValue } from "./payload.ts";
import type { Settled } from "./step.ts";
import type { Store } from "./store.ts";

/** So many chunks are read in one go. */
const CHUNKS_AT_ONCE = 10;

/** The values of runs, wherever they are: in the run, in the blob store, or spread over the items of a map. */
export class Values {
  readonly #store: Store;
  readonly blobs: BlobStore;

  constructor(store: Store, blobs: BlobStore) {
    this.#store = store;
    this.blobs = blobs;
  }

  /** What Redis holds for a value of a run's; that of a small one is there at once. @throws FatalError `not_json` */
  put({ tenant, run }: { tenant: string; run: string }, name: string, value: unknown): string | Promise<string> {
    return this.keep(run, tenant, name, encodeValue(value));
  }

  /** As `put`, of JSON. What is large goes to the blob store, and belongs to the run. */
  keep(run: string, tenant: string, name: string, json: string): string | Promise<string> {
    return storeValue(new OwnedBlobs(this.blobs, run), tenant, name, json);
  }

  /** Takes a value out of the blob store that nothing refers to, if it is there. */
  async drop(tenant: string, stored: string): Promise<void> {
    const blob = blobOf(stored);
    if (blob !== undefined) await this.blobs.delete(tenant, blob);
  }

  /** The value again. @throws FatalError `value_lost` if it is gone */
  async get(tenant: string, stored: string): Promise<unknown> {
    return isSpread(stored) ? this.#items(tenant, stored) : loadValue(this.blobs, tenant, stored);
  }

  /**
   * The input of a step, from the fields of its run that it is made of: an output or the run's input as it is, several
   * outputs by name, without those of steps that were skipped.
   */
  async join(tenant: string, after: readonly string[], fields: readonly (string | null)[]): Promise<unknown> {
    if (after.length <= 1) {
      const [stored] = fields;
      if (stored == null) throw new FatalError("The input of this step is gone.", { code: "value_lost" });
      return this.get(tenant, stored);
    }
    const input: [string, unknown][] = [];
    for (const [i, name] of after.entries())
      if (fields[i] != null) input.push([name, await this.get(tenant, fields[i])]);
    return Object.fromEntries(input);
  }

  /** What a completed run comes to, from its fields: undefined if nothing of it was taken. */
  async output(tenant: string, graph: Graph, fields: Record<string, string>): Promise<unknown> {
    const { ends } = shapeOf(graph);
    const stored = ends.map((name) => fields[`output:${name}`] ?? null);
    if (ends.length > 1) return this.join(tenant, ends, stored);
    return stored[0] === null ? undefined : this.get(tenant, stored[0]!);
  }

  async #items(tenant: string, mark: string): Promise<unknown[]> {
    const [run, step, count, mode] = mark.slice(1).split("|") as [string, string, string, string];
    const total = Number(count);
    const results: unknown[] = [];
    for (let from = 0; from < total; from += CHUNKS_AT_ONCE * CHUNK) {
      const chunks = Array.from({ length: Math.ceil(Math.min(total - from, CHUNKS_AT_ONCE * CHUNK) / CHUNK) });
      const read = await Promise.all(chunks.map((_, i) => this.itemResults(run, step, from / CHUNK + i, total)));
      for (const { output, error } of read.flat()) results.push(await this.#result(tenant, mode, output, error));
    }
    return results;
  }

  async #result(tenant: string, mode: string, output: string | null, error: string | null): Promise<unknown> {
    if (output === null && (mode !== "collect" || error === null))
      throw new FatalError("A result of a map is gone.", { code: "value_lost" });
    if (mode !== "collect") return this.get(tenant, output!);
    if (output !== null) return { ok: true, output: await this.get(tenant, output) } satisfies Settled<unknown>;
    const { name, message, code } = JSON.parse(error!);
    return { ok: false, error: code === undefined ? { name, message } : { name, message, code } };
  }

  /** What the items of one chunk have come to so far, as Redis holds it. */
  async itemResults(
    run: string,
    step: string,
    chunk: number,
    total: number,
  ): Promise<{ item: number; output: string | null; error: string | null }[]> {
    const items = Array.from({ length: Math.min(CHUNK, total - chunk * CHUNK) }, (_, i) => chunk * CHUNK + i);
    const fields = await this.#store.readChunk(run, step, chunk, ...items.flatMap((item) => [`${item}`, `e${item}`]));
    return items.map((item, i) => ({ item, output: fields[2 * i]!, error: fields[2 * i + 1]! }));
  }
}
