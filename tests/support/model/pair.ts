import { isDeepStrictEqual } from "node:util";
import { expect } from "vitest";
import { newRunId } from "../../../engine/ids.ts";
import type { ModelBench } from "./bench.ts";
import type { Command } from "./commands.ts";
import type { Handle } from "./handle.ts";
import { type Answer, Model, type Told } from "./model.ts";
import { type Outcome, possible, tellsStart } from "./outcomes.ts";
import { type Shape, UNIT_MS } from "./shapes.ts";
import { shownModel } from "./shown.ts";
import { shownRedis } from "./shown-redis.ts";
import { LIVE_RUN, type ModelEntry, type ModelLetter, nameOf, streamOf } from "./state.ts";

/** A worker of the test: after a crash it comes back under another name, and knows nothing. */
interface TestWorker {
  name: string;
  held: Handle[];
}

export const LOOKS_EVERY = 3;

type Of<What extends Command["do"]> = Extract<Command, { do: What }>;

/** The model and the scripts side by side: each command is done to both, what they answer is compared, and of every few commands what they hold. */
export class Pair {
  readonly model = new Model();
  readonly #bench: ModelBench;
  readonly #shapes: readonly Shape[];
  readonly #workers: TestWorker[] = [];
  /** Every attempt there was, those that are over too: they may come late. */
  readonly #attempts: Handle[] = [];
  readonly #told = new WeakMap<Handle, { started: boolean; batch: number }>();
  /** The ends that were sent, to be sent again. */
  readonly #sent: { consumer: string; told: Told[] }[] = [];
  /** How often each command was answered how. */
  readonly answers = new Map<string, number>();
  #names = 0;
  #outputs = 0;
  #done: number;

  /** @param look after which of the first `LOOKS_EVERY` commands to look for the first time */
  constructor(bench: ModelBench, shapes: readonly Shape[], look = 0) {
    this.#bench = bench;
    this.#shapes = shapes;
    this.#done = LOOKS_EVERY - 1 - look;
    for (let i = 0; i < 2; i += 1) this.#workers.push({ name: this.#newName(), held: [] });
  }

  async do(command: Command): Promise<void> {
    await this.#carryOut(command);
    this.#done += 1;
    if (this.#done % LOOKS_EVERY === 0) await this.#look(command);
  }

  /** Compares all that there is. Most of the time of a sequence goes here, so not every command is followed by it. */
  async #look(after: unknown): Promise<void> {
    const [model, redis] = [shownModel(this.model), await shownRedis(this.#bench, this.model.runs)];
    // Far faster than the matcher, which is left to tell the difference.
    if (!isDeepStrictEqual(redis, model)) expect(redis, `after ${JSON.stringify(after)}`).toEqual(model);
  }

  /** Lets everything that is live come to its end, without another failure; then nothing is left of it. */
  async finish(): Promise<void> {
    for (let rounds = 0; this.model.runs.some(({ status }) => LIVE_RUN.has(status)); rounds += 1) {
      expect(rounds, "every run ends").toBeLessThan(200);
      if (this.#unknown()) for (const worker of [0, 1]) await this.#carryOut({ do: "recover", worker });
      if (this.#unknown()) await this.#carryOut({ do: "reclaim", worker: 0 });
      while (this.#waiting().length > 0)
        await this.#carryOut({ do: "deliver", which: 0, count: 2, worker: 0, lost: false });
      while (this.#valid().length > 0)
        await this.#carryOut({
          do: "end",
          attempts: [0, 1, 2].map((which) => ({ which, how: 0, events: 0 })),
          twice: false,
        });
      await this.#carryOut({ do: "pass time", units: 5 });
      await this.#look("a round");
    }
    expect([...this.model.streams.values()].flat()).toEqual([]);
    expect(this.model.timers).toEqual([]);
  }

  async #carryOut(command: Command): Promise<void> {
    const { model } = this;
    const bench = this.#bench;
    switch (command.do) {
      case "admit": {
        const [id, shape, input] = [newRunId(0), pick(this.#shapes, command.shape)!, `"input ${model.runs.length}"`];
        return this.#same("admit", await bench.admit(id, shape, input), model.admit(id, shape, input));
      }
      case "admit again": {
        const run = pick(model.runs, command.which);
        if (!run) return;
        const { id, shape, input } = run;
        this.#same("admit", await bench.admit(id, shape, input), model.admit(id, shape, input));
        return;
      }
      case "deliver":
        return this.#deliver(command);
      case "tell":
        return this.#tell(command);
      case "end":
        return this.#end(command);
      case "send again": {
        const { consumer, told } = pick(this.#sent, command.which) ?? {};
        if (consumer && told) this.#same("end", await bench.commit(consumer, told), model.commit(told));
        return;
      }
      case "end late": {
        const handle = pick(
          this.#attempts.filter((each) => !model.owns(each)),
          command.which,
        );
        if (handle) await this.#send(handle.consumer, [this.#toldOf(handle, pick(possible(handle), command.how)!, 0)]);
        return;
      }
      case "beat": {
        const { name, held } = this.#workers[command.worker]!;
        const answers = held.map((handle) => model.beat(handle));
        return this.#same("beat", await bench.beat(name, held), answers);
      }
      case "stall":
        return this.#stall(this.#workers[command.worker]!);
      case "crash": {
        const worker = this.#workers[command.worker]!;
        await this.#stall(worker);
        Object.assign(worker, { name: this.#newName(), held: [] });
        return;
      }
      case "reclaim":
      case "recover": {
        const { name, held } = this.#workers[command.worker]!;
        const mode = command.do === "reclaim" ? "expired" : "own";
        const taken = await bench.reclaim(name, mode, held);
        for (const [i, key] of [...bench.streams.keys()].entries()) {
          const handles = command.do === "reclaim" ? model.reclaim(key, name, held) : model.recover(key, name, held);
          bench.pair(handles, taken[i]!);
          this.#hold(this.#workers[command.worker]!, handles);
        }
        return;
      }
      case "pass time":
        return this.#passTime(command.units);
      case "cancel": {
        const run = pick(model.runs, command.which);
        if (run) this.#same("cancel", await bench.cancel(run), model.cancel(run));
        return;
      }
      case "signal": {
        const run = pick(
          model.runs.filter((each) => each.steps.has("wait")),
          command.which,
        );
        if (!run) return;
        const answer = await bench.signal(run, "wait", command.key);
        this.#same("signal", answer, model.signal(run, "wait", command.key));
        return;
      }
      case "replay":
      case "discard": {
        const letter = pick(model.letters, command.which);
        for (let times = 0; letter && times < (command.twice ? 2 : 1); times += 1)
          this.#same(command.do, await bench[command.do](letter), model[command.do](letter));
        if (letter && command.do === "replay") await this.#reorder(letter);
      }
    }
  }

  async #deliver({ which, count, worker, lost }: Of<"deliver">): Promise<void> {
    const key = pick(this.#waiting(), which);
    if (key === undefined) return;
    const to = this.#workers[worker]!;
    const entries = await this.#bench.deliver(key, to.name, (count % 3) + 1);
    const handles = this.model.deliver(key, to.name, (count % 3) + 1);
    this.#bench.pair(handles, entries);
    // A reply that never came: it is pending for a worker that does not know.
    if (!lost) this.#hold(to, handles);
  }

  async #tell({ which, events, twice }: Of<"tell">): Promise<void> {
    const handle = pick(
      this.#valid().filter((each) => tellsStart(each, "complete")),
      which,
    );
    if (handle === undefined) return;
    const told = this.#toldOf(handle, undefined, events);
    for (let times = 0; times < (twice ? 2 : 1); times += 1) await this.#send(handle.consumer, [told]);
  }

  async #end({ attempts, twice }: Of<"end">): Promise<void> {
    const first = pick(this.#valid(), attempts[0]!.which);
    if (first === undefined) return;
    const of = this.#valid().filter(({ consumer }) => consumer === first.consumer);
    const chosen = new Map([
      [first, attempts[0]!],
      ...attempts.slice(1).map((each) => [pick(of, each.which)!, each] as const),
    ]);
    const told = [...chosen].map(([handle, { how, events }]) =>
      this.#toldOf(handle, pick(possible(handle), how)!, events),
    );
    for (let times = 0; times < (twice ? 2 : 1); times += 1) await this.#send(first.consumer, told);
    this.#sent.push({ consumer: first.consumer, told });
    for (const worker of this.#workers) worker.held = worker.held.filter((each) => !chosen.has(each));
  }

  async #send(consumer: string, told: Told[]): Promise<void> {
    const answers = await this.#bench.commit(consumer, told);
    const letters = new Set(this.model.letters);
    this.#same("end", answers, this.model.commit(told));
    const buried = this.model.letters.filter((letter) => !letters.has(letter));
    for (const letter of buried)
      this.#bench.bury(letter, told.find(({ handle }) => handle.entry === letter.entry)!.handle);
  }

  #toldOf(handle: Handle, outcome: Outcome | undefined, events: number): Told {
    const known = this.#told.get(handle) ?? { started: false, batch: 0 };
    const started = !known.started && tellsStart(handle, outcome ?? "complete");
    if (events > 0) known.batch += 1;
    this.#told.set(handle, { started: known.started || started, batch: known.batch });
    this.#outputs += 1;
    const output = `"output ${this.#outputs}"`;
    return { handle, started, events, batch: known.batch, output, ...(outcome && { outcome }) };
  }

  /** A worker that does not beat: everything of it may be taken over, and it may come back all the same. */
  async #stall({ name }: TestWorker): Promise<void> {
    await this.#bench.lapse(name);
    for (const { pending } of this.model.pendingOf(name)) pending!.lapsed = true;
  }

  async #passTime(units: number): Promise<void> {
    await this.#bench.forward(units * UNIT_MS);
    this.model.now += units * UNIT_MS;
    const rows = await this.#bench.due();
    const due = this.model.due();
    const names = due.map(({ of, reason }) => `${reason} ${of.run.id} ${nameOf(of)}`);
    expect([...rows.keys()].sort()).toEqual([...names].sort());
    for (const [i, timer] of due.entries()) {
      const row = rows.get(names[i]!)!;
      this.model.promote(timer);
      this.#same("promote", await this.#bench.promote(row), "Done");
      this.#same("promote", await this.#bench.promote(row), "Already");
    }
  }

  /** Items that go on after a replay do so in no certain order: the model takes that of Redis. */
  async #reorder({ of }: ModelLetter): Promise<void> {
    for (const step of of.run.items.keys()) {
      const key = streamOf({ ...of, step: of.run.steps.get(step)!.step });
      const order = await this.#bench.order(key);
      const at = ({ of: { run, item } }: ModelEntry) =>
        order.indexOf(item === undefined ? run.id : `${run.id} ${item}`);
      const entries = this.model.streams.get(key) ?? [];
      const held = entries.filter(({ pending }) => pending !== undefined);
      const waiting = entries.filter(({ pending }) => pending === undefined).sort((a, b) => at(a) - at(b));
      this.model.streams.set(key, [...held, ...waiting]);
    }
  }

  /** The streams that have something to deliver. */
  #waiting(): string[] {
    return [...this.model.streams.keys()].filter((key) => this.model.undelivered(key).length > 0);
  }

  /** Whether something is pending that no worker knows of. */
  #unknown(): boolean {
    const held = new Set(this.#workers.flatMap((worker) => worker.held.map(({ entry }) => entry)));
    return [...this.model.streams.values()].flat().some((entry) => entry.pending && !held.has(entry));
  }

  /** The attempts that are still their workers', a worker's that has crashed too. */
  #valid(): Handle[] {
    return this.#attempts.filter((handle) => this.model.owns(handle));
  }

  #hold(worker: TestWorker, handles: readonly Handle[]): void {
    worker.held.push(...handles);
    this.#attempts.push(...handles);
  }

  #same(what: string, redis: Answer | Answer[], model: Answer | Answer[]): void {
    expect(redis).toEqual(model);
    for (const answer of [model].flat()) {
      const key = `${what} ${answer}`;
      this.answers.set(key, (this.answers.get(key) ?? 0) + 1);
    }
  }

  #newName(): string {
    this.#names += 1;
    return `worker-${this.#names}`;
  }
}

function pick<T>(from: readonly T[], which: number): T | undefined {
  return from[which % from.length];
}
