import { beginItems, finish } from "./ends.ts";
import { attemptOf, crashesOf, type Handle } from "./handle.ts";
import { Holding } from "./holding.ts";
import { decideEnd, type Outcome } from "./outcomes.ts";
import type { Shape } from "./shapes.ts";
import {
  atWork,
  isLive,
  LIVE_RUN,
  type ModelEntry,
  type ModelLetter,
  type ModelRun,
  type ModelTimer,
  nameOf,
  newRun,
  type Standing,
} from "./state.ts";

/** One thing that an attempt tells: that it has started, or what it has come to. */
export interface Told {
  handle: Handle;
  /** Whether it says that it has started. */
  started: boolean;
  /** So many events, as the batch of this number: one that is sent again is stored once. */
  events: number;
  batch: number;
  outcome?: Outcome;
  output: string;
}

export type Answer = "Done" | "Already" | "NotOwner" | "RunEnded" | "UnknownRun" | "Stale";

/**
 * What a namespace must hold, by the states that engine/README.md draws: a run and its steps as plain objects, every stream
 * a list, time a number. It shares nothing with the scripts but the names.
 */
export class Model extends Holding {
  admit(id: string, shape: Shape, input: string): Answer {
    if (this.runs.some((run) => run.id === id)) return "Already";
    const run = newRun(id, shape, input);
    this.runs.push(run);
    for (const each of run.steps.values()) if (each.step.after.length === 0) this.queue(each, { input });
    return "Done";
  }

  deliver(key: string, consumer: string, count: number): Handle[] {
    return this.undelivered(key)
      .slice(0, count)
      .map((entry) => {
        entry.pending = { consumer, count: 1, lapsed: false };
        return { entry, consumer, count: 1 };
      });
  }

  pendingOf(consumer: string): ModelEntry[] {
    return [...this.streams.values()].flat().filter(({ pending }) => pending?.consumer === consumer);
  }

  owns({ entry, consumer, count }: Handle): boolean {
    const { pending } = entry;
    return this.has(entry) && pending?.consumer === consumer && pending.count === count;
  }

  /** What has outlived its lease is another's, but for what that one has in its hands itself. */
  reclaim(key: string, consumer: string, held: readonly Handle[]): Handle[] {
    const mine = new Set(held.map(({ entry }) => entry));
    const lapsed = (this.streams.get(key) ?? []).filter((entry) => entry.pending?.lapsed);
    const taken = lapsed.filter((entry) => !(entry.pending!.consumer === consumer && mine.has(entry)));
    return taken.map((entry) => {
      const count = entry.pending!.count + 1;
      entry.pending = { consumer, count, lapsed: false };
      return { entry, consumer, count };
    });
  }

  /** What was delivered to a consumer that does not know of it, as it was delivered. */
  recover(key: string, consumer: string, held: readonly Handle[]): Handle[] {
    const mine = new Set(held.map(({ entry }) => entry));
    const own = (this.streams.get(key) ?? []).filter((entry) => entry.pending?.consumer === consumer);
    return own
      .filter((entry) => !mine.has(entry))
      .map((entry) => {
        entry.pending!.lapsed = false;
        return { entry, consumer, count: entry.pending!.count };
      });
  }

  beat(handle: Handle): Answer {
    if (!this.owns(handle)) return "NotOwner";
    handle.entry.pending!.lapsed = false;
    return "Done";
  }

  commit(items: readonly Told[]): Answer[] {
    const owned = items.map(({ handle }) => this.owns(handle));
    for (const [i, { handle, outcome }] of items.entries()) if (owned[i] && outcome) this.remove(handle.entry);
    // Whoever says something is alive: the first that goes on has its lease renewed.
    const alive = items.find(({ outcome }, i) => owned[i] && outcome === undefined);
    if (alive) alive.handle.entry.pending!.lapsed = false;
    return items.map((told, i) => {
      if (!owned[i]) return "NotOwner";
      if (!LIVE_RUN.has(told.handle.entry.of.run.status)) return "RunEnded";
      this.#write(told);
      return "Done";
    });
  }

  #write({ handle, started, events, batch, outcome, output }: Told): void {
    const { entry } = handle;
    const { of } = entry;
    const { run } = of;
    const before = atWork(run);
    const end = outcome && decideEnd(handle, outcome, output);
    if (started) this.#start(handle);
    Object.assign(of, { attempt: attemptOf(handle), failures: entry.failures, crashes: crashesOf(handle) });
    if (events > 0 && batch > of.batch) {
      of.batch = batch;
      for (let i = 0; i < events; i += 1) run.log.push(`step.output ${nameOf(of)}`);
    }
    if (end !== undefined) finish(this, entry, end);
    if (of.item !== undefined && isLive(of)) beginItems(this, of);
    if (LIVE_RUN.has(run.status) && before > 0 && atWork(run) === 0) {
      run.status = "waiting";
      run.log.push("run.waiting");
    }
  }

  #start(handle: Handle): void {
    const { of } = handle.entry;
    const { run } = of;
    const same = of.attempt === attemptOf(handle) && of.failures === handle.entry.failures;
    if (of.status === "running" && same && of.crashes === crashesOf(handle)) return;
    if (run.status === "queued") {
      run.status = "running";
      run.log.push("run.started");
    }
    of.status = "running";
    of.batch = 0;
    run.log.push(`step.started ${nameOf(of)} ${attemptOf(handle)}`);
  }

  cancel(run: ModelRun): Answer {
    if (run.status === "cancelled") return "Already";
    if (!LIVE_RUN.has(run.status)) return "RunEnded";
    this.endLive(run);
    run.status = "cancelled";
    run.log.push("run.cancelled");
    return "Done";
  }

  signal(run: ModelRun, step: string, key: string): Answer {
    const counts = run.signalled.get(step);
    if (counts !== undefined) return counts === key ? "Already" : "Stale";
    if (!LIVE_RUN.has(run.status)) return "RunEnded";
    const of = run.steps.get(step)!;
    if (of.status !== "pending" && !isLive(of)) return "Stale";
    run.signalled.set(step, key);
    if (of.status === "waiting") this.#wake(of, "signal");
    return "Done";
  }

  #wake(of: Standing, wake: string): void {
    const { run, failures, crashes } = of;
    this.remove(of.place);
    this.queue(of, { wake, failures, crashes });
    if (run.status === "waiting") run.status = "running";
  }

  due(): ModelTimer[] {
    return this.timers.filter(({ due }) => due <= this.now).sort((a, b) => a.due - b.due);
  }

  promote(timer: ModelTimer): void {
    const { of, reason } = timer;
    const { failures, crashes } = of;
    if (reason === "timeout") of.run.signalled.set(of.step.name, "");
    this.remove(timer);
    if (!reason.startsWith("retry")) this.#wake(of, reason);
    else this.queue(of, { wake: reason.split(":")[1] ?? "", failures, crashes });
  }

  /** Lets a failed run go on from its dead letter, and from all that was taken from its place when it failed. */
  replay(letter: ModelLetter): Answer {
    const { run, step } = letter.of;
    if (!this.letters.includes(letter)) return "UnknownRun";
    this.remove(letter);
    run.status = "queued";
    run.replays += 1;
    run.log.push("run.queued");
    for (const each of run.steps.values()) {
      if (each.status !== "cancelled" && each.step !== step) continue;
      if (run.signalled.get(each.step.name) === "") run.signalled.delete(each.step.name);
      const items = run.items.get(each.step.name);
      if (items === undefined) {
        this.queueAnew(each);
        continue;
      }
      each.status = "running";
      each.place = "items";
      for (const item of items.live.values())
        if (item.status === "cancelled" || item.status === "failed") this.queueAnew(item);
    }
    return "Done";
  }

  discard(letter: ModelLetter): Answer {
    if (!this.letters.includes(letter)) return "UnknownRun";
    this.remove(letter);
    return "Done";
  }
}
