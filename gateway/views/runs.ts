import * as v from "valibot";
import {
  budget,
  count,
  errorRecord,
  id,
  json,
  metadata,
  priorityName,
  runStatus,
  tags,
  time,
  usage,
} from "./common.ts";

const undo = v.strictObject({
  status: v.picklist(["waiting", "queued", "running", "retrying", "completed", "failed"]),
  attempt: count,
  error: v.optional(errorRecord),
  startedAt: v.optional(time),
  endedAt: v.optional(time),
});

const step = v.strictObject({
  status: v.picklist([
    ...(["pending", "queued", "running", "waiting", "retrying"] as const),
    ...(["completed", "failed", "cancelled", "skipped"] as const),
  ]),
  attempt: count,
  progress: v.optional(v.number()),
  message: v.optional(v.string()),
  output: v.optional(json),
  error: v.optional(errorRecord),
  items: v.optional(v.strictObject({ total: count, done: count, failed: count })),
  waitingFor: v.optional(
    v.strictObject({
      reason: v.picklist(["sleep", "signal", "child", "delay", "limit", "tenant_paused", "paused", "worker"]),
      until: v.optional(time),
      run: v.optional(id),
      key: v.optional(v.string()),
    }),
  ),
  usage: v.optional(usage),
  startedAt: v.optional(time),
  endedAt: v.optional(time),
  undo: v.optional(undo),
});

const summary = {
  id,
  workflow: v.string(),
  version: v.number(),
  status: runStatus,
  undoing: v.optional(v.picklist(["failed", "cancelled"])),
  error: v.optional(errorRecord),
  seq: count,
  createdAt: time,
  startsAt: v.optional(time),
  expiresAt: v.optional(time),
  deadlineAt: v.optional(time),
  endedAt: v.optional(time),
  priority: v.optional(priorityName),
  tags: v.optional(tags),
  metadata: v.optional(metadata),
  usage: v.optional(usage),
  budget: v.optional(budget),
};

/** A run in a list. */
export const runSummary = v.strictObject(summary);

/** A run with all that is known of it. */
export const runView = v.strictObject({
  ...summary,
  input: v.optional(json),
  output: v.optional(json),
  steps: v.record(v.string(), step),
});

/** An item of a map, or a turn of a loop. */
export const itemView = v.strictObject({
  item: count,
  status: v.picklist([
    ...(["pending", "queued", "running", "waiting", "retrying"] as const),
    ...(["completed", "failed", "cancelled"] as const),
  ]),
  attempt: v.optional(count),
  progress: v.optional(v.number()),
  output: v.optional(json),
  error: v.optional(errorRecord),
});
