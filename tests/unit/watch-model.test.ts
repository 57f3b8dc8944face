import { expect, test } from "vitest";
import { watch } from "../../engine/progress.ts";
import type { ChannelListener, Subscriber } from "../../engine/redis/subscriber.ts";
import type { Store } from "../../engine/store.ts";
import { Random } from "../support/faults/random.ts";
import { newSeed, sized } from "../support/faults/settings.ts";

const TENANT = "default";
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A log that grows by turns, and tells of it: with what was added, by its number alone, late, twice or not at all. */
class Model {
  readonly #random: Random;
  readonly #length: number;
  readonly #lines: string[] = [];
  readonly #late: string[] = [];
  #listener: ChannelListener | undefined;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#length = this.#random.whole(1, 30);
  }

  readonly store = {
    partitionKeys: () => ({ runChannel: () => "channel" }),
    readLog: async (_run: string, after: number, _tag: number | undefined, most: number) => {
      await this.#turns();
      const page = { found: true, tenant: TENANT, stale: false, last: this.#lines.length, lines: [] as string[] };
      page.lines = this.#lines.slice(after, after + most);
      const status = this.#lines.length === this.#length ? "completed" : "running";
      await this.#turns();
      return { ...page, status };
    },
  } as unknown as Store;

  readonly subscriber = {
    listen: (_: string, listener: ChannelListener) => {
      // What is published before it is heard is heard by nobody.
      const heard = this.#turns().then(() => {
        this.#listener = listener;
      });
      return { heard, leave: () => {} };
    },
  } as unknown as Subscriber;

  async grow(): Promise<void> {
    while (this.#lines.length < this.#length) {
      await this.#turns();
      const from = this.#lines.length;
      for (let n = this.#random.whole(1, 3); n > 0 && this.#lines.length < this.#length; n -= 1) {
        const seq = this.#lines.length + 1;
        this.#lines.push(`${seq} ${JSON.stringify({ type: seq === this.#length ? "run.completed" : "step.output" })}`);
      }
      this.#tell([String(this.#lines.length), ...this.#lines.slice(from)].join("\n"));
    }
    // The watcher looks again after some seconds in any case; here it is told.
    await this.#turns();
    this.#listener?.missed();
  }

  async watch(after: number): Promise<number[]> {
    const seen: number[] = [];
    const options = { after: String(after), snapshot: () => Promise.reject(new Error("no reset is due")) };
    for await (const message of watch(this.store, () => this.subscriber, { run: "run", tenant: TENANT }, options)) {
      seen.push(message.seq);
      if (this.#random.next() < 0.3) await this.#turns();
    }
    return seen;
  }

  get start(): number {
    return this.#random.whole(0, this.#length - 1);
  }

  expected(after: number): number[] {
    return Array.from({ length: this.#length - after }, (_, i) => after + 1 + i);
  }

  #tell(text: string): void {
    const kind = this.#random.next();
    if (kind < 0.2) return;
    if (kind < 0.35) this.#late.push(text);
    else this.#listener?.message(kind < 0.5 ? text.split("\n")[0]! : text);
    if (kind > 0.9) this.#listener?.message(text);
    if (this.#late.length > 0 && this.#random.next() < 0.5) this.#listener?.message(this.#late.shift()!);
  }

  async #turns(): Promise<void> {
    for (let n = this.#random.whole(0, 3); n > 0; n -= 1) await turn();
  }
}

test("whatever is heard, late, twice or not at all: a watcher sees each number once and in order", async () => {
  const first = newSeed();
  const seeds = Array.from({ length: sized(300, 20_000) }, (_, i) => first + i);
  await Promise.all(
    seeds.map(async (seed) => {
      const model = new Model(seed);
      const after = model.start;
      const [seen] = await Promise.all([model.watch(after), model.grow()]);
      expect(seen, `SEED=${seed}`).toEqual(model.expected(after));
    }),
  );
});
