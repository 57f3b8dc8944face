import type { CommitItem } from "../../../engine/commit-args.ts";
import { compareIds, type Entry, type StepStream } from "../../../engine/entry.ts";
import { FatalError } from "../../../engine/errors.ts";
import { encodeEvent } from "../../../engine/events.ts";
import { deadLetterId } from "../../../engine/ids.ts";
import { NamespaceKeys } from "../../../engine/keys.ts";
import { ClockedClient, ClockStore } from "../../../engine/store/clock-store.ts";
import { ensureGroups } from "../../../engine/store/group-store.ts";
import { TimerStore } from "../../../engine/store/timer-store.ts";
import { Reply, Store } from "../../../engine/store.ts";
import { take } from "../../../engine/streams.ts";
import { isScripted, type ScriptedRow } from "../../../engine/timer-rows.ts";
import { decide, type Outcome as EngineOutcome } from "../../../engine/transition.ts";
import { freshNamespace, linkTo, rawRedis, redisUrl } from "../redis.ts";
import { crashesOf, type Handle } from "./handle.ts";
import type { Answer, Told } from "./model.ts";
import { NAP_MS, type Shape, WAIT_MS } from "./shapes.ts";
import { type ModelLetter, type ModelRun, nameOf, type Standing } from "./state.ts";

const TENANT = "default";
/** Longer than any sequence takes: whatever lapses is made to. */
const LEASE_MS = 60_000;
const PLENTY = 100;

/** The engine's own decisions and scripts over a real Redis, told the same things as the model. */
export class ModelBench {
  readonly namespace = freshNamespace();
  readonly redis = rawRedis();
  readonly keys = new NamespaceKeys(this.namespace).partition(0);
  readonly #client = new ClockedClient(linkTo(redisUrl, "model-bench"), [this.keys.clock()]);
  readonly #clock = new ClockStore(this.#client, this.keys);
  #store = new Store(this.#client, new NamespaceKeys(this.namespace));
  readonly #timers = new TimerStore(this.#client, this.keys);
  readonly streams = new Map<string, StepStream>();
  /** What a handle of the model is in the engine. */
  readonly #entries = new WeakMap<Handle, Entry>();
  readonly #letters = new WeakMap<ModelLetter, string>();

  /** Begins with nothing, for runs of these shapes. */
  async clear(shapes: readonly Shape[]): Promise<void> {
    await this.#clock.removeAll(this.namespace);
    this.#store = new Store(this.#client, new NamespaceKeys(this.namespace));
    this.streams.clear();
    for (const { definition } of shapes)
      for (const step of definition.steps) {
        const key = this.keys.step(definition.graph, step.name);
        const stream = { keys: this.keys, graph: definition.graph, step, lane: "normal" as const, key };
        this.streams.set(`${definition.name}:${step.name}`, stream);
      }
    await ensureGroups(this.#client, [...this.streams.values()]);
  }

  close(): void {
    this.#client.close();
  }

  async admit(id: string, { definition }: Shape, input: string): Promise<Answer> {
    const isNew = await this.#store.admit({ id, graph: definition.graph, tenant: TENANT, input });
    return isNew ? "Done" : "Already";
  }

  async deliver(key: string, consumer: string, count: number): Promise<Entry[]> {
    return take(this.#client, consumer, [[this.streams.get(key)!, count]]);
  }

  /** Run and item of each entry of a stream, in order. */
  async order(key: string): Promise<string[]> {
    const entries = await this.redis.xrange(this.streams.get(key)!.key, "-", "+");
    return entries.map(([, flat]) => {
      const item = flat.indexOf("item");
      return item < 0 ? flat[1]! : `${flat[1]} ${flat[item + 1]}`;
    });
  }

  /** Of each stream what a consumer takes over, or takes up. @param mode see the script `reclaim` */
  async reclaim(consumer: string, mode: "expired" | "own", held: readonly Handle[]): Promise<Entry[][]> {
    // Everyone could beat for a lease.
    const now = Date.now();
    await this.redis.hset(this.keys.beats(), { since: now - 2 * LEASE_MS, last: now });
    const mine = held.map((handle) => this.#entry(handle));
    const leaseMs = mode === "own" ? 0 : LEASE_MS;
    const take = (stream: StepStream) =>
      this.#store.reclaim(
        stream,
        consumer,
        mode,
        leaseMs,
        PLENTY,
        mine.filter((entry) => entry.stream === stream),
        PLENTY,
      );
    return Promise.all([...this.streams.values()].map(take));
  }

  /** Which entry stands for which handle. @throws Error if they differ in what they are about */
  pair(handles: readonly Handle[], entries: readonly Entry[]): void {
    const ofHandle = (handle: Handle) => {
      const { of, wake, failures } = handle.entry;
      return `${of.run.id} ${nameOf(of)} ${wake} ${failures} ${crashesOf(handle)} ${handle.count}`;
    };
    const ofEntry = ({ run, stream, item, wake = "", failures, crashes, count }: Entry) =>
      `${run} ${item === undefined ? stream.step.name : `${stream.step.name}#${item}`} ${wake} ${failures} ${crashes} ${count}`;
    const [expected, given] = [handles.map(ofHandle).join("\n"), entries.map(ofEntry).join("\n")];
    if (expected !== given) throw new Error(`These were to be delivered:\n${expected}\nThese were:\n${given}`);
    for (const [i, handle] of handles.entries()) this.#entries.set(handle, entries[i]!);
  }

  /** Makes what is pending for a consumer look as if that had not been heard of for long. */
  async lapse(consumer: string): Promise<void> {
    const lapse = async ({ key }: StepStream) => {
      const rows = (await this.redis.xpending(key, "workers", "-", "+", PLENTY, consumer)) as [string][];
      const ids = rows.map(([id]) => id);
      if (ids.length > 0) await this.redis.xclaim(key, "workers", consumer, 0, ...ids, "IDLE", 2 * LEASE_MS, "JUSTID");
    };
    await Promise.all([...this.streams.values()].map(lapse));
  }

  async beat(consumer: string, handles: readonly Handle[]): Promise<Answer[]> {
    const streams = [...this.streams.values()];
    const entries = handles.map((handle) => this.#entry(handle));
    const held = streams.map((stream) =>
      entries.filter((entry) => entry.stream === stream).sort((a, b) => compareIds(a.id, b.id)),
    );
    const lost = new Set(await this.#store.heartbeat(consumer, LEASE_MS, streams, held));
    return entries.map((entry) => (lost.has(entry) ? "NotOwner" : "Done"));
  }

  async commit(consumer: string, told: readonly Told[]): Promise<Answer[]> {
    const replies = await this.#store.commit(
      consumer,
      told.map((each) => this.#item(each)),
    );
    return replies.map(answerOf);
  }

  #item({ handle, started, outcome, events, batch, output }: Told): CommitItem {
    const entry = this.#entry(handle);
    const of = { step: entry.stream.step.name, ...(entry.item === undefined ? {} : { item: entry.item }) };
    const lines = Array.from({ length: events }, () => encodeEvent({ type: "step.output", ...of, data: output }));
    const item: CommitItem = { entry, batch, events: lines, ...(started && { startedAgoMs: 0 }) };
    if (outcome === undefined) return item;
    const { failures, crashes, stream } = entry;
    const collects = entry.item !== undefined && handle.entry.of.run.shape.items[stream.step.name]!.collects;
    const came: EngineOutcome =
      crashes >= stream.step.crashes ? { kind: "crashed", crashes } : engineOutcome(handle.entry.of, outcome, output);
    return { ...item, end: decide(stream.step.retry, { failures, collects }, came, 0.5) };
  }

  async cancel(run: ModelRun): Promise<Answer> {
    return answerOf(await this.#store.cancel(run.id, run.shape.definition.graph, TENANT));
  }

  async signal(run: ModelRun, step: string, key: string): Promise<Answer> {
    const { graph } = run.shape.definition;
    return answerOf(await this.#store.signal({ run: run.id, graph, tenant: TENANT, step, key, stored: '"yes"' }));
  }

  async forward(ms: number): Promise<void> {
    await this.#client.forward(ms);
  }

  /** The rows that are due, by what they are about. */
  async due(): Promise<Map<string, ScriptedRow>> {
    const { due } = await this.#timers.dueTimers(1_000);
    const rows = due.filter(isScripted).filter((row) => row.kind === "wake");
    return new Map(rows.map((row) => [`${row.reason} ${row.run} ${row.step}${row.item && `#${row.item}`}`, row]));
  }

  async promote(row: ScriptedRow): Promise<Answer> {
    return answerOf((await this.#timers.promote([row]))[0]!);
  }

  async replay(letter: ModelLetter): Promise<Answer> {
    return answerOf(await this.#store.replay(this.#letterPlace(letter)));
  }

  async discard(letter: ModelLetter): Promise<Answer> {
    return answerOf(await this.#store.discard(this.#letterPlace(letter)));
  }

  /** Remembers where a dead letter is, which is named after the entry whose attempt was the last. */
  bury(letter: ModelLetter, handle: Handle): void {
    this.#letters.set(letter, this.#entry(handle).id);
  }

  #letterPlace(letter: ModelLetter) {
    const { run, step } = letter.of;
    const entry = this.#letters.get(letter)!;
    const of = { run: run.id, entry, graph: run.shape.definition.graph, tenant: TENANT, step: step.name };
    return { ...of, id: deadLetterId(run.id, entry) };
  }

  #entry(handle: Handle): Entry {
    return this.#entries.get(handle)!;
  }
}

function engineOutcome({ run, step, item }: Standing, outcome: string, output: string): EngineOutcome {
  switch (outcome) {
    case "complete":
      return { kind: "completed", output };
    case "throw":
      return { kind: "threw", error: new Error("no") };
    case "fatal":
      return { kind: "threw", error: new FatalError("never") };
    case "skip":
      return { kind: "skipped" };
    case "expand":
      return { kind: "expanded", ...run.shape.items[step.name]!, first: "" };
    case "park":
      return step.kind === "wait"
        ? { kind: "parked", parking: { reason: "signal", timeoutMs: WAIT_MS } }
        : { kind: "parked", parking: { reason: "sleep", delayMs: NAP_MS } };
    case "release":
    case "untold":
      return { kind: "interrupted" };
    default:
      throw new Error(`${outcome} of ${step.name} ${item}`);
  }
}

function answerOf(reply: Reply): Answer {
  const [name] = Object.entries(Reply).find(([, code]) => code === reply)!;
  return name as Answer;
}
