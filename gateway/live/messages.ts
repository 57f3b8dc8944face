import * as v from "valibot";
import { after } from "../schemas.ts";
import { problem } from "../views/common.ts";
import { runSummary } from "../views/runs.ts";

const what = { run: v.optional(v.string()), workflow: v.optional(v.string()), all: v.optional(v.literal(true)) };

/** What a client says over a `/v1/live` socket: about one of `run`, `workflow` and `all`. */
export const clientMessage = v.pipe(
  v.variant("type", [
    v.strictObject({
      ...{ type: v.literal("subscribe"), ...what, snapshot: v.optional(v.boolean()) },
      after: v.optional(v.union([v.string(), v.pipe(v.number(), v.integer(), v.minValue(0), v.transform(String))])),
    }),
    v.strictObject({ type: v.literal("unsubscribe"), ...what }),
  ]),
  v.check(
    ({ run, workflow, all }) => [run, workflow, all].filter((each) => each !== undefined).length === 1,
    "One of run, workflow and all is wanted.",
  ),
);
export type ClientMessage = v.InferOutput<typeof clientMessage>;

/** Where a run goes on is said as a number or a cursor of its own. */
export const ofRun = v.looseObject({ after: v.optional(after) });

const of = { workflow: v.optional(v.string()), all: v.optional(v.literal(true)) };

/** What a socket says beside events and resets of runs. */
export const serverMessage = v.variant("type", [
  v.strictObject({ type: v.literal("error"), problem: v.strictObject({ ...problem.entries, ...of }) }),
  v.strictObject({ type: v.literal("cursor"), cursor: v.string(), ...of }),
  v.strictObject({ type: v.literal("reset"), runs: v.array(runSummary), more: v.boolean(), ...of }),
  v.strictObject({ type: v.literal("disconnected") }),
  v.strictObject({ type: v.literal("connected") }),
]);
