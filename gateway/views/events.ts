import * as v from "valibot";
import { EVENT_TYPES } from "../../engine/index.ts";
import { count, id, json, time } from "./common.ts";
import { runView } from "./runs.ts";

/** One event of a run. */
export const runEvent = v.strictObject({
  seq: count,
  cursor: v.string(),
  run: id,
  /** Only among those of many runs. */
  workflow: v.optional(v.string()),
  type: v.picklist(EVENT_TYPES),
  at: time,
  step: v.optional(v.string()),
  item: v.optional(count),
  attempt: v.optional(count),
  data: v.optional(json),
});

/** The log no longer reaches back to where the watcher was: begin again from the snapshot. */
export const reset = v.strictObject({
  type: v.literal("reset"),
  run: id,
  workflow: v.optional(v.string()),
  seq: count,
  snapshot: runView,
});
