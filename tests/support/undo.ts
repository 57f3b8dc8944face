import { any } from "valibot";
import type { CommitItem } from "../../engine/commit-args.ts";
import type { Entry } from "../../engine/entry.ts";
import { workflow } from "../../engine/index.ts";
import { ensureGroups } from "../../engine/store/group-store.ts";
import { Reply } from "../../engine/store.ts";
import { take } from "../../engine/streams.ts";
import type { State } from "./state.ts";
import { StoreBench } from "./store.ts";

const undo = () => null;
/** Two steps that can be undone, and one that cannot. */
export const trip = workflow("trip", { input: any() })
  .step("a", { run: () => 1, undo })
  .step("b", { run: () => 2, undo })
  .step("c", () => 3);

export const error = { name: "Error", message: "no", stack: "Error: no\n    at x.ts:1" };
export const dead: CommitItem["end"] = { kind: "dead", error };
export const done: CommitItem["end"] = { kind: "complete", output: "1" };

/** The last event of a run that was undone because it failed at its third step. */
export const runFailed =
  'T {"type":"run.failed","data":{"error":{"name":"Error","message":"no"},"step":"c","deadLetter":"RUN-E"}}';

/** What stands for the entry of an undo in its dead letter's id: the step's place in the graph is in it. */
export const markOf = (entry: string, index: number) =>
  entry.replace(/\d+$/, (seq) => `${(index + 1) * 1_000_000 + Number(seq)}`);

/** A run of three steps at the point where it is undone, and what a test of a script does with it. */
export class UndoBench extends StoreBench {
  /** What there is, every entry's id being E: which is which is seen by the stream that it is in. */
  override async state(names: Record<string, string> = {}): Promise<State> {
    return JSON.parse(JSON.stringify(await super.state(names)).replace(/\bE\d+\b/g, "E"));
  }

  /** As in any bench; most are expected to be done. */
  override change<R>(act: () => Promise<R>, expected: R = Reply.Done as R, names: Record<string, string> = {}) {
    return super.change(act, expected, names);
  }

  /** Has ann take the next entry of a step. */
  override async next(step: string): Promise<Entry> {
    const stream = this.stream(step, trip);
    await ensureGroups(this.client, [stream]);
    const [entry] = await take(this.client, "ann", [[stream, 1]]);
    return entry!;
  }

  /** Has ann hold the run's third step, the two before it being completed. */
  async atLastStep(): Promise<Entry> {
    await this.store.admit({ id: this.run, graph: trip.graph, tenant: "default", input: "1" });
    for (const step of ["a", "b"]) await this.commit({ entry: await this.next(step), startedAgoMs: 0, end: done });
    return this.next("c");
  }

  /** Fails the run, and has ann hold the undo of its second step. */
  async undoing(): Promise<Entry> {
    await this.commit({ entry: await this.atLastStep(), startedAgoMs: 0, end: dead });
    return this.next("b");
  }

  async lastLine(): Promise<string | undefined> {
    return ((await this.state())["log:RUN"] as string[]).at(-1);
  }
}
