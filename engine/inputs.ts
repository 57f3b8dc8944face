import type { Entry } from "./entry.ts";
import { FatalError, UnavailableError } from "./errors.ts";
import { inputFields, shapeOf } from "./graph.ts";
import { Interrupted } from "./interrupted.ts";
import { CHUNK, chunkOf } from "./keys.ts";
import { blobOf } from "./payload.ts";
import type { Store } from "./store.ts";
import type { Values } from "./values.ts";

/** So many chunks of items' inputs are kept as read: neighbours come to the same worker. */
const CHUNKS_KEPT = 64;
/** Of those that are in the blob store, since they are large, only so many. */
const BLOBS_KEPT = 4;

/** Where the inputs of held steps, and of their items, come from. */
export class Inputs {
  readonly #store: Store;
  readonly #values: Values;
  readonly #chunks = new Map<string, Promise<unknown[]>>();
  readonly #large = new Set<string>();

  constructor(store: Store, values: Values) {
    this.#store = store;
    this.#values = values;
  }

  /** The input of a step: at once, if its entry carries it. */
  of(entry: Entry): unknown {
    return entry.input === "" ? this.#join(entry) : JSON.parse(entry.input);
  }

  async #join(entry: Entry): Promise<unknown> {
    const { after, stored } = await this.#read(entry);
    return this.#values.join(entry.tenant, after, stored);
  }

  /** The input of a step as Redis may hold it as an output too. */
  async stored(entry: Entry): Promise<string> {
    if (entry.input !== "") return entry.input;
    const { after, stored } = await this.#read(entry);
    if (after.length <= 1 && stored[0] != null) return stored[0];
    const { tenant, stream } = entry;
    return this.#values.put(entry, stream.step.name, await this.#values.join(tenant, after, stored));
  }

  /** An element of the list that a map goes over. */
  async element(entry: Entry, item: number): Promise<unknown> {
    const chunk = chunkOf(item);
    const key = `${entry.run} ${entry.stream.step.name} ${chunk}`;
    let elements = this.#chunks.get(key);
    if (elements === undefined) {
      elements = this.#chunk(entry, chunk, key);
      this.#chunks.set(key, elements);
      elements.catch(() => this.#forget(key));
      if (this.#chunks.size > CHUNKS_KEPT) this.#forget(this.#chunks.keys().next().value!);
    }
    // Handlers may change what they are given.
    return structuredClone((await elements)[item % CHUNK]);
  }

  /** What a turn of a loop is given: the last one's output, or the step's input. */
  async turn(entry: Entry, turn: number): Promise<unknown> {
    if (turn === 0 || entry.input !== "") return this.of(entry);
    const step = entry.stream.step.name;
    const [stored] = await unlessAway(this.#store.readChunk(entry.run, step, chunkOf(turn - 1), `${turn - 1}`));
    return this.#values.join(entry.tenant, [step], [stored ?? null]);
  }

  #forget(key: string): void {
    this.#chunks.delete(key);
    this.#large.delete(key);
  }

  async #chunk(entry: Entry, chunk: number, key: string): Promise<unknown[]> {
    const [stored] = await unlessAway(this.#store.readChunk(entry.run, entry.stream.step.name, chunk, "in"));
    if (stored == null) throw new FatalError("The input of this item is gone.", { code: "value_lost" });
    if (blobOf(stored) !== undefined) this.#large.add(key);
    if (this.#large.size > BLOBS_KEPT) this.#forget(this.#large.values().next().value!);
    return (await this.#values.get(entry.tenant, stored)) as unknown[];
  }

  /** What a step comes after, with the stored outputs of that; or only the input that it was given by hand. */
  async #read({
    run,
    stream: { graph, step },
  }: Entry): Promise<{ after: readonly string[]; stored: (string | null)[] }> {
    const fields = [`input:${step.name}`, ...inputFields(graph, step.name)];
    const [given = null, ...stored] = await unlessAway(this.#store.readFields(run, ...fields));
    if (given !== null) return { after: [], stored: [given] };
    return { after: shapeOf(graph).byName.get(step.name)!.after, stored };
  }
}

/** The step has not begun: that Redis is away is none of its failures. */
export async function unlessAway<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof UnavailableError ? new Interrupted() : error;
  }
}

/** How long a step is kept that Redis takes no more for, before it is given back. */
const PAUSE_MS = 250;

/** As `unlessAway`, for what Redis refuses over its memory limit: the step is not delivered again and again at once. */
export async function unlessFull<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return unlessAway(
    work.catch(async (error: unknown) => {
      if (error instanceof UnavailableError && !signal.aborted) await pause(signal);
      throw error;
    }),
  );
}

function pause(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, PAUSE_MS);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
