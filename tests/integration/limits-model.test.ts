import fc from "fast-check";
import { expect, test } from "vitest";
import type { Entry } from "../../engine/entry.ts";
import type { Limit, Limits } from "../../engine/index.ts";
import { GateBench } from "../support/gate-bench.ts";

const KEYS = ["a", "b", "c"];
const error = { name: "Error", message: "no" };
/** How much later a start is forgotten than its window says, in parts of the window; and what reading the clock may be off by. */
const LATER = 1.05;
const OFF_MS = 50;

const oneIn = <T>(times: number, arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: times - 1, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });
const rate = fc.record({ count: fc.integer({ min: 1, max: 4 }), windowMs: fc.constantFrom(10_000, 60_000) });
const limit = fc
  .tuple(oneIn(2, fc.integer({ min: 1, max: 3 })), oneIn(3, rate), oneIn(5, fc.constant({ perMinute: 600 })))
  .map(([concurrency, rate, tokens]): Limit => {
    return { ...(concurrency && { concurrency }), ...(rate && { rate }), ...(tokens && { tokens }) };
  });
const limits = fc
  .record({ own: limit, total: limit })
  .filter(({ own, total }) => Object.keys(own).length + Object.keys(total).length > 0)
  .map(({ own, total }): Limits<unknown> => ({ key: String, ...own, total }));
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("come" as const),
      keys: fc.array(fc.constantFrom(...KEYS), { minLength: 1, maxLength: 6 }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("end" as const),
      how: fc.constantFrom("complete", "complete", "retry", "dead", "release"),
      which: fc.array(fc.nat(20), { minLength: 1, maxLength: 3 }),
      spent: fc.constantFrom(0, 0, 100, 900),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("cancel" as const), which: fc.nat(40) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(500, 5_000, 30_000, 70_000) }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** What is known of each run without asking the gate. */
class Model {
  readonly bench: GateBench;
  readonly limits: Limits<unknown>;
  readonly keyOf = new Map<string, string>();
  readonly live = new Set<string>();
  /** Entries that have a slot and are in ann's hands. */
  readonly held = new Map<string, Entry>();
  /** When slots were given: no earlier and no later than. */
  readonly given: { key: string; from: number; to: number }[] = [];
  readonly #kept = new Set<string>();
  #seen = 0;

  constructor(bench: GateBench, given: Limits<unknown>) {
    this.bench = bench;
    this.limits = given;
  }

  async do(what: Step): Promise<void> {
    const from = this.#seen;
    if (what.do === "come") {
      for (const key of what.keys) {
        const run = await this.bench.admit();
        this.keyOf.set(run, key);
        this.live.add(run);
      }
    } else if (what.do === "end") await this.#end(what);
    else if (what.do === "cancel") await this.#cancel(what.which);
    else await this.bench.client.forward(what.ms);
    await this.settle(from);
  }

  async #end({ how, which, spent }: Step & { do: "end" }): Promise<void> {
    const all = [...this.held.values()];
    if (all.length === 0) return;
    const chosen = new Set(which.map((n) => all[n % all.length]!));
    const items = [...chosen].map((entry) => {
      const end =
        how === "retry"
          ? ({ kind: "retry", error, delayMs: 1_000 } as const)
          : how === "dead"
            ? ({ kind: "dead", error } as const)
            : how === "release"
              ? ({ kind: "release" } as const)
              : ({ kind: "complete", output: "1" } as const);
      return { entry, batch: 0, events: [], startedAgoMs: 0, spent, end };
    });
    for (const reply of await this.bench.store.commit("ann", items)) expect(reply).toBeGreaterThan(0);
    for (const entry of chosen) {
      this.held.delete(entry.run);
      // It keeps its slot, and will be taken again.
      if (how === "release") this.#kept.add(entry.run);
      if (how === "complete" || how === "dead") this.live.delete(entry.run);
    }
  }

  async #cancel(which: number): Promise<void> {
    const runs = [...this.live];
    if (runs.length === 0) return;
    const run = runs[which % runs.length]!;
    await this.bench.store.cancel(run, this.bench.workflow.graph, "default");
    this.live.delete(run);
    this.held.delete(run);
  }

  /** Takes to the gate what comes to it, carries out what is due, takes what got a slot, and looks at what must hold. */
  async settle(since: number): Promise<void> {
    const had = new Set(this.held.keys());
    for (let more = true; more; ) {
      const gated = await this.bench.gate((run) => this.keyOf.get(run)!);
      await this.bench.tick();
      const taken = await this.bench.take(this.bench.passed);
      for (const entry of taken) {
        expect(this.live.has(entry.run), "what has a slot is live").toBe(true);
        this.held.set(entry.run, entry);
      }
      more = gated.length > 0 || taken.length > 0;
    }
    const now = await this.bench.now();
    for (const run of this.held.keys())
      if (!had.has(run) && !this.#kept.delete(run))
        this.given.push({ key: this.keyOf.get(run)!, from: since, to: now });
    this.#seen = now;
    await this.#check(now);
  }

  async #check(now: number): Promise<void> {
    const { graph } = this.bench.workflow;
    const members = await this.bench.redis.zrange(this.bench.keys.gateHeld(graph, "work"), "0", "-1");
    expect(members.map((member) => member.split("|")[1]).sort()).toEqual([...this.held.keys()].sort());
    const waiting = (await this.bench.redis.zrange(this.bench.keys.gateWaiting(graph, "work"), "0", "-1")).map(
      (ticket) => ticket.split("|"),
    );
    for (const [, , run] of waiting) expect(this.live.has(run!), "what waits is live").toBe(true);
    for (const [key, allowed] of [
      ["", this.limits.total!] as const,
      ...KEYS.map((each) => [each, this.limits] as const),
    ])
      this.#notTooMany(allowed, (each) => key === "" || each === key);
    for (const key of new Set(waiting.map(([each]) => each!))) {
      const isRoom =
        this.#hasRoom(this.limits, now, (each) => each === key) && this.#hasRoom(this.limits.total!, now, () => true);
      expect(isRoom, `${key} waits while there is room`).toBe(false);
    }
  }

  #notTooMany({ concurrency, rate }: Limit, of: (key: string) => boolean): void {
    const held = [...this.held.keys()].filter((run) => of(this.keyOf.get(run)!));
    if (concurrency !== undefined) expect(held.length).toBeLessThanOrEqual(concurrency);
    if (rate === undefined) return;
    const given = this.given.filter((each) => of(each.key));
    for (const [i, first] of given.entries()) {
      const beyond = given[i + rate.count];
      if (beyond !== undefined) expect(beyond.to - first.from).toBeGreaterThanOrEqual(rate.windowMs);
    }
  }

  /** Whether there is room for one more, to all that can be known from outside. Tokens are left to those who know them. */
  #hasRoom({ concurrency, rate, tokens }: Limit, now: number, of: (key: string) => boolean): boolean {
    if (tokens !== undefined) return false;
    const held = [...this.held.keys()].filter((run) => of(this.keyOf.get(run)!));
    if (concurrency !== undefined && held.length >= concurrency) return false;
    if (rate === undefined) return true;
    const counted = this.given.filter(({ key, to }) => of(key) && to > now - LATER * rate.windowMs - OFF_MS);
    return counted.length < rate.count;
  }

  /** Ends all that is at work, and lets time go on, until nothing is left. */
  async finish(): Promise<void> {
    for (let rounds = 0; this.live.size > 0; rounds += 1) {
      expect(rounds, "every run ends").toBeLessThan(300);
      const which = Array.from({ length: this.held.size }, (_, n) => n);
      if (which.length > 0) await this.do({ do: "end", how: "complete", which, spent: 0 });
      else await this.do({ do: "wait", ms: 30_000 });
    }
  }
}

test("never more than the limits, nobody waits while there is room, and every run ends", async () => {
  await fc.assert(
    fc.asyncProperty(limits, fc.array(step, { minLength: 5, maxLength: 25 }), async (given, steps) => {
      const bench = await new GateBench(given).open();
      try {
        const model = new Model(bench, given);
        await model.settle(await bench.now());
        for (const each of steps) await model.do(each);
        await model.finish();
        // What was used up has come back, and nothing of it is remembered.
        await bench.client.forward(600_000);
        await bench.tick();
        const { graph } = bench.workflow;
        const gate = await bench.redis.hgetall(bench.keys.gate(graph, "work"));
        expect(Object.keys(gate).filter((field) => /^(h |[rt] [abc])/.test(field))).toEqual([]);
        const { gateTurns, gateHeld, gateWaiting } = bench.keys;
        for (const key of [gateTurns, gateHeld, gateWaiting])
          expect(await bench.redis.zcard(key.call(bench.keys, graph, "work"))).toBe(0);
      } finally {
        bench.close();
      }
    }),
    { numRuns: 25, endOnFailure: true },
  );
}, 120_000);
