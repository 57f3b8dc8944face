import { MillraceError, NotFoundError } from "../errors.ts";
import { workflowVersion } from "../graph.ts";
import { type Handler, hasHandler, type Step, type StepContext, type Work } from "../step.ts";
import type { AnyWorkflow } from "../workflow.ts";

/** So many calls of a fake are kept, the last ones; all are counted. */
const CALLS_LIMIT = 10_000;

/** One attempt that a fake, or a failure, has taken the place of. */
export interface FakeCall<I = unknown> {
  readonly run: string;
  readonly attempt: number;
  readonly input: I;
}

/** What stands in for a step, and the attempts that came to it. */
export interface Fake<I = unknown> {
  /** In order; of more than 10,000, the last. */
  readonly calls: readonly FakeCall<I>[];
  /** How many there were in all. */
  readonly count: number;
  /** Takes it away again: later attempts go where they went before. */
  restore(): void;
}

/** Which attempts of a step fail, and with what. */
export interface Failing<I = unknown> {
  /** Their numbers, from 1; or what an attempt is to throw, undefined to let it be. */
  attempts: readonly number[] | ((attempt: number, input: I, ctx: StepContext) => unknown);
  /** What they throw. Default: an Error that says so. */
  error?: unknown;
}

type AnyHandler = Handler<unknown, unknown>;

/** A step of a workflow under test, with what stands in for it now. */
interface Place {
  readonly step: Step;
  readonly where: string;
  fake?: { handler: AnyHandler; record: Recorded };
  readonly failures: { thrown: (input: unknown, ctx: StepContext) => unknown; record: Recorded }[];
}

class Recorded implements Fake {
  readonly #remove: () => void;
  #calls: FakeCall[] = [];
  #count = 0;

  constructor(remove: () => void) {
    this.#remove = remove;
  }

  get calls(): readonly FakeCall[] {
    return this.#calls.slice(-CALLS_LIMIT);
  }

  get count(): number {
    return this.#count;
  }

  restore(): void {
    this.#remove();
  }

  add(input: unknown, ctx: StepContext): void {
    this.#count += 1;
    this.#calls.push({ run: ctx.run.id, attempt: ctx.attempt, input });
    if (this.#calls.length >= 2 * CALLS_LIMIT) this.#calls = this.#calls.slice(-CALLS_LIMIT);
  }
}

/** What stands in for the steps of the workflows under test. */
export class Fakes {
  readonly #places = new Map<string, Place>();
  readonly #instrumented = new Map<AnyWorkflow, AnyWorkflow>();

  /** The workflow as a worker under test gets it: the same, but that each step looks here for what to run. */
  instrument(workflow: AnyWorkflow): AnyWorkflow {
    let made = this.#instrumented.get(workflow);
    if (made === undefined) {
      made = this.#make(workflow);
      this.#instrumented.set(workflow, made);
    }
    return made;
  }

  #make(workflow: AnyWorkflow): AnyWorkflow {
    const steps = workflow.steps.map((given): Step => {
      const step = this.#withUndo(workflow, given);
      if (!hasHandler(step.work)) return { ...step, work: this.#withChild(step.work) };
      const where = `${workflowVersion(workflow.graph)}:${step.name}`;
      const place: Place = { step, where, failures: [] };
      this.#places.set(where, place);
      return { ...step, load: async () => (input, ctx) => attempt(place, input, ctx) };
    });
    return Object.create(workflow, { steps: { value: steps, enumerable: true } }) as AnyWorkflow;
  }

  #withUndo(workflow: AnyWorkflow, step: Step): Step {
    if (step.undo === undefined) return step;
    const where = undoOf(`${workflowVersion(workflow.graph)}:${step.name}`);
    const place: Place = { step: { ...step, load: step.undo.load as Step["load"] }, where, failures: [] };
    this.#places.set(where, place);
    return { ...step, undo: { ...step.undo, load: async () => (done, ctx) => attempt(place, done, ctx) } };
  }

  /** The runs that a step starts are of workflows under test as well. */
  #withChild(work: Work): Work {
    if (!("child" in work) || work.child === undefined) return work;
    return { ...work, child: { ...work.child, workflow: this.instrument(work.child.workflow) } };
  }

  /** @param made what to run in the step's place, or simply what it returns */
  fake(workflow: AnyWorkflow, step: string, made: unknown): Fake {
    return this.#put(this.#find(workflow, step), made);
  }

  fakeUndo(workflow: AnyWorkflow, step: string, made: unknown): Fake {
    return this.#put(this.#find(workflow, undoOf(step)), made);
  }

  #put(place: Place, made: unknown): Fake {
    const handler = typeof made === "function" ? (made as AnyHandler) : () => made;
    const record = new Recorded(() => {
      if (place.fake?.record === record) delete place.fake;
    });
    place.fake = { handler, record };
    return record;
  }

  fail(workflow: AnyWorkflow, step: string, { attempts, error }: Failing): Fake {
    const place = this.#find(workflow, step);
    const numbers = typeof attempts === "function" ? [] : attempts;
    const isNumber = (each: unknown) => Number.isInteger(each) && (each as number) >= 1;
    if (typeof attempts !== "function" && !(Array.isArray(attempts) && attempts.length > 0 && attempts.every(isNumber)))
      throw new MillraceError("bad_option", `${place.where}: attempts are whole numbers from 1, one or more`);
    const thrown = (input: unknown, ctx: StepContext) => {
      if (typeof attempts === "function") return attempts(ctx.attempt, input, ctx);
      if (!numbers.includes(ctx.attempt)) return undefined;
      return error ?? new Error(`Attempt ${ctx.attempt} of ${place.where} was made to fail.`);
    };
    const failure = { thrown, record: new Recorded(() => remove()) };
    const remove = () => {
      if (place.failures.includes(failure)) place.failures.splice(place.failures.indexOf(failure), 1);
    };
    place.failures.push(failure);
    return failure.record;
  }

  #find(workflow: AnyWorkflow, step: string): Place {
    const version = workflowVersion(workflow.graph);
    const place = this.#places.get(`${version}:${step}`);
    if (place !== undefined) return place;
    const isKnown = [...this.#places.keys()].some((where) => where.startsWith(`${version}:`));
    throw isKnown ? new NotFoundError(`step in workflow ${version}`, step) : new NotFoundError("workflow", version);
  }
}

/** What the undo of a step goes by: no step has such a name. */
function undoOf(step: string): string {
  return `${step}:undo`;
}

async function attempt(place: Place, input: unknown, ctx: StepContext): Promise<unknown> {
  for (const { thrown, record } of place.failures) {
    const error = thrown(input, ctx);
    if (error === undefined) continue;
    record.add(input, ctx);
    throw error;
  }
  if (place.fake === undefined) return (await place.step.load())(input, ctx);
  place.fake.record.add(input, ctx);
  return place.fake.handler(input, ctx);
}
