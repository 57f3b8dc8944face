import { any } from "valibot";
import type { CommitItem } from "../../engine/commit-args.ts";
import type { Entry, StepStream } from "../../engine/entry.ts";
import { newRunId } from "../../engine/ids.ts";
import { type AnyWorkflow, type Limits, workflow } from "../../engine/index.ts";
import { NamespaceKeys } from "../../engine/keys.ts";
import { streamsOf } from "../../engine/step-places.ts";
import { ClockedClient, ClockStore } from "../../engine/store/clock-store.ts";
import { GateStore } from "../../engine/store/gate-store.ts";
import { ensureGroups } from "../../engine/store/group-store.ts";
import { TimerStore } from "../../engine/store/timer-store.ts";
import { Reply, Store } from "../../engine/store.ts";
import { take } from "../../engine/streams.ts";
import { isScripted } from "../../engine/timer-rows.ts";
import { freshNamespace, linkTo, rawRedis, redisUrl } from "./redis.ts";
import { changes, type Held, type State, stateOf } from "./state.ts";

const limitedTo = (limits: Limits<unknown>): AnyWorkflow =>
  workflow("flow", { input: any() }).step("work", { limits, retry: { baseMs: 0, maxMs: 0 }, run: () => 0 });

/** A step with limits as its scripts see it, with a clock that the test moves. */
export class GateBench {
  readonly namespace = freshNamespace();
  readonly redis = rawRedis();
  readonly keys = new NamespaceKeys(this.namespace).partition(0);
  readonly client = new ClockedClient(linkTo(redisUrl, "gate-bench"), [this.keys.clock()]);
  readonly clock = new ClockStore(this.client, this.keys);
  readonly store = new Store(this.client, new NamespaceKeys(this.namespace));
  readonly timers = new TimerStore(this.client, this.keys);
  readonly gates = new GateStore(this.client, this.store);
  readonly workflow: AnyWorkflow;
  readonly before: StepStream;
  readonly passed: StepStream;
  /** Runs by their names in tables of states. */
  readonly names: Record<string, string> = {};

  constructor(limits: Limits<unknown>) {
    this.workflow = limitedTo(limits);
    [this.before, this.passed] = streamsOf(this.keys, this.workflow.graph, this.workflow.steps[0]!, "normal") as [
      StepStream,
      StepStream,
    ];
  }

  async open(): Promise<this> {
    await ensureGroups(this.client, [this.before, this.passed]);
    await this.gates.setLimits(this.workflow.graph, "work", this.workflow.steps[0]!.limits!);
    return this;
  }

  close(): void {
    this.client.close();
  }

  async take(stream: StepStream): Promise<Entry[]> {
    return take(this.client, "ann", [[stream, 1_000]]);
  }

  async commit(item: Partial<CommitItem> & { entry: Entry }): Promise<Reply> {
    const [reply] = await this.store.commit("ann", [{ batch: 0, events: [], ...item }]);
    return reply!;
  }

  /** Has a new run come to its first stream, or if it is said whose it is, to its gate. */
  async admit(name?: string, key?: string): Promise<string> {
    const id = newRunId(0);
    if (name !== undefined) this.names[name] = id;
    const gateKeys = new Map(key === undefined ? [] : [["work", key]]);
    await this.store.admit({ id, graph: this.workflow.graph, tenant: "default", input: '"in"', gateKeys });
    return id;
  }

  /** Takes to the gate what has come to it: of each run the key that `keyOf` says. */
  async gate(keyOf: (run: string) => string): Promise<Reply[]> {
    const entries = await this.take(this.before);
    const items = entries.map((entry): CommitItem => {
      return { entry, batch: 0, events: [], end: { kind: "gate", key: keyOf(entry.run) } };
    });
    return items.length === 0 ? [] : this.store.commit("ann", items);
  }

  /** Has a new run come, and taken to the gate. */
  async come(key: string, name?: string): Promise<string> {
    const run = await this.admit(name);
    const replies = await this.gate(() => key);
    if (!replies.every((reply) => reply === Reply.Done || reply === Reply.DoneAndDue))
      throw new Error(`refused: ${replies}`);
    return run;
  }

  /** Carries out what is due, until nothing is. When the next row is due, in ms. */
  async tick(): Promise<number | undefined> {
    for (let looks = 0; looks < 1_000; looks += 1) {
      const { due, nextMs } = await this.timers.dueTimers(100);
      if (due.length === 0) return nextMs;
      await this.timers.promote(due.filter(isScripted));
      for (const row of due) if (row.kind === "gate") await this.gates.turn(this.keys, row, row.step);
    }
    throw new Error("There is no end to what is due.");
  }

  now(): Promise<number> {
    return this.clock.standing().then(({ nowMs }) => nowMs);
  }

  state(): Promise<State> {
    return stateOf(this.redis, this.namespace, this.names);
  }

  /** What something changes, without the log and the indexes of runs. */
  async change(what: () => Promise<unknown>): Promise<Record<string, Held | "gone">> {
    const before = await this.state();
    await what();
    const changed = changes(before, await this.state());
    return Object.fromEntries(Object.entries(changed).filter(([key]) => !/^(log|runs|workers|beats)/.test(key)));
  }

  /** Has ONE be at work, and TWO wait behind it for the key `a`. The entry of ONE. */
  async two(): Promise<Entry> {
    await this.come("a", "ONE");
    const [entry] = await this.take(this.passed);
    await this.commit({ entry: entry!, startedAgoMs: 0 });
    await this.come("a", "TWO");
    return entry!;
  }
}
