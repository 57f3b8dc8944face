import { ConflictError, InvalidInputError, NotFoundError } from "./errors.ts";
import type { Graph } from "./graph.ts";
import { ID_PATTERN, partitionOf } from "./ids.ts";
import type { PausesApi } from "./millrace.ts";
import { iso } from "./run-record.ts";
import { type PauseStore, parsePauseField } from "./store/pause-store.ts";
import { Reply } from "./store.ts";
import type { Pausable, PausedView, RunView } from "./views.ts";

/** Pausing and resuming, in every partition. */
export class Pauses implements PausesApi {
  readonly #stores: readonly PauseStore[];
  readonly #graphs: () => Promise<readonly Graph[]>;

  /** @param graphs of every workflow version that was ever served here */
  constructor(stores: readonly PauseStore[], graphs: () => Promise<readonly Graph[]>) {
    this.#stores = stores;
    this.#graphs = graphs;
  }

  async pause(what: Pausable): Promise<void> {
    await this.#check(what);
    for (const store of this.#stores) refuseWrongType(await store.pause(what));
  }

  async resume(what: Pausable): Promise<void> {
    await this.#check(what);
    for (const store of this.#stores) refuseWrongType(await store.resume(what));
  }

  async paused(): Promise<PausedView[]> {
    const since = new Map<string, number>();
    for (const store of this.#stores)
      for (const [field, ms] of Object.entries(await store.paused()))
        since.set(field, Math.min(Number(ms), since.get(field) ?? Number.POSITIVE_INFINITY));
    return [...since.keys()].sort().flatMap((field): PausedView[] => {
      const what = parsePauseField(field);
      return what === undefined ? [] : [{ ...what, since: iso(since.get(field)!) }];
    });
  }

  /** Has the steps of a run that are queued, and will not be read for now, say so. */
  async explain(view: RunView): Promise<void> {
    const { workflow } = view;
    const queued = Object.keys(view.steps).filter((step) => view.steps[step]!.status === "queued");
    if (queued.length === 0) return;
    const which = [{ workflow }, ...queued.map((step) => ({ workflow, step }))];
    const [whole, ...paused] = await this.#stores[partitionOf(view.id) ?? 0]!.arePaused(which);
    for (const [i, step] of queued.entries())
      if (whole || paused[i]) view.steps[step]!.waitingFor = { reason: "paused" };
  }

  async #check(what: Pausable): Promise<void> {
    if (what.tenant !== undefined) {
      if (what.workflow !== undefined || what.step !== undefined)
        throw new InvalidInputError("A tenant is paused as a whole.", [
          { path: ["tenant"], message: "Expected a tenant, or a workflow and perhaps a step of it" },
        ]);
      if (!ID_PATTERN.test(what.tenant))
        throw new InvalidInputError("The tenant is not one.", [
          { path: ["tenant"], message: `Expected ${ID_PATTERN}` },
        ]);
      return;
    }
    const { workflow, step } = what;
    const graphs = (await this.#graphs()).filter((graph) => graph.workflow === workflow);
    if (graphs.length === 0) throw new NotFoundError("workflow", workflow);
    if (step !== undefined && !graphs.some((graph) => graph.steps.some(({ name }) => name === step)))
      throw new NotFoundError("step", `${workflow}/${step}`);
  }
}

function refuseWrongType(reply: Reply): void {
  if (reply === Reply.WrongType)
    throw new ConflictError("wrong_type", "The key of what is paused holds another type than Millrace keeps there.");
}
