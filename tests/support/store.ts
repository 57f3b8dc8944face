import type { Redis } from "ioredis";
import { any } from "valibot";
import { noBlobs } from "../../engine/blobs/no-blobs.ts";
import type { CommitItem } from "../../engine/commit-args.ts";
import type { Entry, StepStream } from "../../engine/entry.ts";
import { newRunId } from "../../engine/ids.ts";
import { type AnyWorkflow, workflow } from "../../engine/index.ts";
import { Inputs } from "../../engine/inputs.ts";
import { NamespaceKeys } from "../../engine/keys.ts";
import { Client } from "../../engine/redis/client.ts";
import { BroadcastStore } from "../../engine/store/broadcast-store.ts";
import { ensureGroups } from "../../engine/store/group-store.ts";
import { MemoStore } from "../../engine/store/memo-store.ts";
import { StartStore } from "../../engine/store/start-store.ts";
import { SubscriptionStore } from "../../engine/store/subscription-store.ts";
import { TimerStore } from "../../engine/store/timer-store.ts";
import { type Admission, Reply, Store } from "../../engine/store.ts";
import { take } from "../../engine/streams.ts";
import type { Transition } from "../../engine/transition.ts";
import { Values } from "../../engine/values.ts";
import { engineUrl, freshNamespace, linkTo, rawRedis } from "./redis.ts";
import { type Changes, changes, type State, stateOf } from "./state.ts";

export const two = workflow("two", { input: any() })
  .step("a", () => null)
  .step("b", () => null);

/** A store of its own, and what a test of a script does with it. */
export class StoreBench {
  readonly namespace = freshNamespace();
  readonly redis: Redis;
  readonly client: Client;
  readonly keys = new NamespaceKeys(this.namespace).partition(0);
  readonly store: Store;
  readonly timers: TimerStore;
  readonly memos: MemoStore;
  readonly starts: StartStore;
  readonly broadcast: BroadcastStore;
  readonly inputs: Inputs;
  readonly subscriptions: SubscriptionStore;
  readonly run: string;
  readonly definition: AnyWorkflow;

  /** @param url of another server than the suite's */
  constructor(definition: AnyWorkflow = two, run = newRunId(0), url?: string) {
    this.run = run;
    this.definition = definition;
    this.redis = rawRedis(url);
    this.client = new Client(linkTo(url ?? engineUrl, "store-bench"));
    const space = new NamespaceKeys(this.namespace);
    this.store = new Store(this.client, space);
    this.timers = new TimerStore(this.client, this.keys);
    this.memos = new MemoStore(this.client, () => this.keys, "ann");
    this.starts = new StartStore(this.client, this.store);
    this.broadcast = new BroadcastStore(this.client, space);
    this.inputs = new Inputs(this.store, new Values(this.store, noBlobs));
    this.subscriptions = new SubscriptionStore(this.client, this.keys);
  }

  close(): void {
    this.client.close();
  }

  stream(step: string, definition = this.definition): StepStream {
    const found = definition.steps.find((each) => each.name === step)!;
    const key = this.keys.step(definition.graph, step);
    return { keys: this.keys, graph: definition.graph, step: found, lane: "normal", key };
  }

  async admit(run = this.run, tenant = "default", terms: Admission["terms"] = {}): Promise<boolean> {
    return this.store.admit({ id: run, graph: this.definition.graph, tenant, input: '{"n":1}', terms });
  }

  /** Has a consumer take what waits for a step. */
  async take(step: string, consumer = "ann", count = 100, definition = this.definition): Promise<Entry[]> {
    return this.takeFrom(this.stream(step, definition), consumer, count);
  }

  async takeFrom(stream: StepStream, consumer = "ann", count = 100): Promise<Entry[]> {
    await ensureGroups(this.client, [stream]);
    return take(this.client, consumer, [[stream, count]]);
  }

  /** Admits the run and has ann take its first entry. */
  async held(): Promise<Entry> {
    await this.admit();
    const [entry] = await this.take("a");
    return entry!;
  }

  /** The first entry that waits for a step, taken. */
  async next(step: string, consumer = "ann", definition = this.definition): Promise<Entry> {
    const [entry] = await this.take(step, consumer, 1, definition);
    if (entry === undefined) throw new Error(`Nothing waits for ${step}.`);
    return entry;
  }

  /** Takes the next entry of a step and commits that it has come to this. @throws Error if that is refused */
  async come(step: string, end: Transition): Promise<Entry> {
    const entry = await this.next(step);
    const reply = await this.commit({ entry, startedAgoMs: 0, end });
    if (reply !== Reply.Done) throw new Error(`refused: ${reply}`);
    return entry;
  }

  /** What an action changes of the namespace, checked to have been answered so. */
  async change<R>(act: () => Promise<R>, expected: R, names: Record<string, string> = {}): Promise<Changes> {
    const before = await this.state(names);
    const reply = await act();
    if (reply !== expected) throw new Error(`answered ${reply}, not ${expected}`);
    return changes(before, await this.state(names));
  }

  async commit(item: Partial<CommitItem> & { entry: Entry }, consumer = "ann"): Promise<Reply> {
    const [reply] = await this.store.commit(consumer, [{ batch: 0, events: [], ...item }]);
    return reply!;
  }

  /** Brings the run to its end at step `a`: completed steps, or a dead letter. */
  async fail(entry: Entry): Promise<void> {
    const error = { name: "Error", message: "no" };
    const reply = await this.commit({ entry, startedAgoMs: 0, end: { kind: "dead", error } });
    if (reply !== Reply.Done) throw new Error(`refused: ${reply}`);
  }

  state(names: Record<string, string> = {}): Promise<State> {
    return stateOf(this.redis, this.namespace, { ...names, RUN: this.run });
  }
}
