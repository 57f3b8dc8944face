import { compareIds, type Entry, type StepStream } from "./entry.ts";
import { GATE_KINDS, gateKeys } from "./gate-places.ts";
import { delayedField, type Graph, type GraphShape, shapeOf, workflowVersion } from "./graph.ts";
import { chunkOf, type PartitionKeys } from "./keys.ts";
import type { Priority } from "./views.ts";

/** The letter of a key's type; `r` is a run. */
type KeyKind = "h" | "l" | "r" | "s" | "z";
export type Arg = string | number;

/** Where among the arguments of a tenant the key is of what it has parked. */
const PARKED_AT = 8;

/** What the items of a group share: keys, each named once, with its type and its number as the script counts. */
export class Group {
  readonly keys: string[] = [];
  kinds = "";
  readonly tenants = new Map<string, { number: number; args: Arg[] }>();
  readonly graphs = new Map<string, { number: number; args: Arg[] }>();
  readonly streams = new Map<
    StepStream,
    { number: number; args: Arg[]; first: string; last: string; count: number; place: Arg[] }
  >();
  /** What many items share. */
  readonly forms = new Map<string, { number: number; args: Arg[] }>();
  readonly #partition: PartitionKeys;
  readonly #numbers = new Map<string, number>();

  constructor(partition: PartitionKeys) {
    this.#partition = partition;
    this.#key(partition.timers(), "z");
    this.#key(partition.delayed(), "h");
  }

  #key(key: string, kind: KeyKind): number {
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.keys.push(key);
      this.kinds += kind;
      this.#numbers.set(key, number);
    }
    return number;
  }

  form(...args: Arg[]): number {
    const words = args.join("|");
    let known = this.forms.get(words);
    if (known === undefined) {
      known = { number: this.forms.size + 1, args };
      this.forms.set(words, known);
    }
    return known.number;
  }

  /** A run's number; those of its log and of its steps' live items are the next. */
  run(id: string, shape: GraphShape): number {
    const key = this.#partition.run(id);
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    const number = this.#key(key, "r");
    this.#key(this.#partition.log(id), "l");
    for (const step of shape.plain ? [] : shape.steps)
      if (step.items > 0) this.#key(this.#partition.items(id, step.name), "h");
    return number;
  }

  /** The number of another run, that this one waits for: not the one by which it is known here, if it is. */
  otherRun(id: string): number {
    this.kinds += "h";
    return this.keys.push(this.#partition.run(id));
  }

  chunk(entry: Entry, item: number): number {
    return this.#key(this.#partition.chunk(entry.run, entry.stream.step.name, chunkOf(item)), "h");
  }

  tenant(name: string, shape: GraphShape): number {
    let tenant = this.tenants.get(name);
    if (tenant === undefined) {
      const indexes = ["queued", "running", "waiting", "completed", "failed"].map((status) =>
        this.#key(this.#partition.runsByStatus(name, status), "z"),
      );
      const letters = this.#key(this.#partition.deadLetters(name), "z");
      const args = [name, ...indexes, letters, this.#key(this.#partition.ends(name), "l"), 0];
      tenant = { number: this.tenants.size + 1, args };
      this.tenants.set(name, tenant);
    }
    // Where a step fails, others of its run may be parked; in a chain of tasks there are none.
    if (!shape.plain) tenant.args[PARKED_AT] = this.#key(this.#partition.parked(name), "z");
    return tenant.number;
  }

  /** The number of what a tenant, or one of its keys, has used. */
  usage(tenant: string, key?: string): number {
    return this.#key(key === undefined ? this.#partition.usage(tenant) : this.#partition.usageOfKey(tenant, key), "h");
  }

  /** The number of a graph in a lane. */
  #graph(graph: Graph, { steps, ends }: GraphShape, lane: Priority): number {
    const field = `${lane} ${workflowVersion(graph)}`;
    let known = this.graphs.get(field);
    if (known === undefined) {
      const args: Arg[] = [workflowVersion(graph), ends.length, steps.length];
      for (const { name, after, items, undo, limits, next } of steps) {
        const key = this.#key(this.#partition.step(graph, name, lane), "s");
        args.push(name, key, after.length, items, undo ? 1 : 0, limits ? this.#gate(graph, name) : 0, next.length);
        for (const index of next) args.push(index + 1);
      }
      known = { number: this.graphs.size + 1, args };
      this.graphs.set(field, known);
    }
    return known.number;
  }

  /** The number of the first key of a step's gate; the others follow. */
  #gate(graph: Graph, step: string): number {
    this.kinds += GATE_KINDS;
    return this.keys.push(...gateKeys(this.#partition, graph, step)) - GATE_KINDS.length + 1;
  }

  /** A stream's number, widened to where this entry lies. */
  stream(stream: StepStream, entry: string): number {
    let known = this.streams.get(stream);
    if (known === undefined) {
      const { graph, step } = stream;
      const dead = this.#key(this.#partition.dead(graph, step.name), "s");
      const args = [this.#key(stream.key, "s"), step.name, dead, delayedField(graph, step.name)];
      const place = this.#place(stream);
      known = { number: this.streams.size + 1, args, first: entry, last: entry, count: 0, place };
      this.streams.set(stream, known);
    }
    if (compareIds(entry, known.first) < 0) known.first = entry;
    if (compareIds(known.last, entry) < 0) known.last = entry;
    known.count += 1;
    return known.number;
  }

  /** Where a step stands: which step of which graph; in a chain of tasks, which comes next. */
  #place({ graph, lane, step: { name } }: StepStream): Arg[] {
    const shape = shapeOf(graph);
    const step = shape.byName.get(name)!;
    if (!shape.plain) return [this.#graph(graph, shape, lane), step.index + 1];
    const next = step.next.map((index) => shape.steps[index]!.name);
    return [0, next.length, ...next.flatMap((each) => [this.#key(this.#partition.step(graph, each, lane), "s"), each])];
  }
}
