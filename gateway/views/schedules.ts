import * as v from "valibot";
import { MISSED_POLICIES, OVERLAP_POLICIES } from "../../engine/index.ts";
import { count, id, json, metadata, priorityName, tags, time } from "./common.ts";

const summary = {
  name: id,
  status: v.picklist(["active", "paused", "ended"]),
  workflow: v.string(),
  cron: v.optional(v.string()),
  timeZone: v.optional(v.string()),
  every: v.optional(count),
  at: v.optional(time),
  overlap: v.picklist(OVERLAP_POLICIES),
  missed: v.picklist(MISSED_POLICIES),
  jitterMs: count,
  nextTick: v.optional(time),
  lastTick: v.optional(time),
  lastRun: v.optional(id),
  waiting: v.optional(v.array(time)),
  lastSkipped: v.optional(v.strictObject({ tick: time, reason: v.picklist(["missed", "overlap"]) })),
  lastError: v.optional(v.strictObject({ tick: time, code: v.optional(v.string()), message: v.string() })),
  metadata: v.optional(metadata),
  priority: v.optional(priorityName),
  tags: v.optional(tags),
  createdAt: time,
  updatedAt: time,
};

export const scheduleSummary = v.strictObject(summary);
export const scheduleView = v.strictObject({ ...summary, input: v.optional(json) });
