import * as v from "valibot";
import { count, errorRecord, id, json, time } from "./common.ts";
import { runEvent } from "./events.ts";

const letter = {
  id,
  run: id,
  workflow: v.string(),
  version: v.number(),
  step: v.string(),
  item: v.optional(count),
  undo: v.optional(v.literal(true)),
  attempt: count,
  error: errorRecord,
  at: time,
};

/** What failed for good. */
export const deadLetter = v.strictObject(letter);

const failedAttempt = v.strictObject({ attempt: count, at: time, error: errorRecord, retryAt: v.optional(time) });

export const deadLetterDetails = v.strictObject({
  ...letter,
  input: v.optional(json),
  history: v.array(failedAttempt),
});

const operationFields = {
  id,
  kind: v.picklist(["replay", "discard"]),
  status: v.picklist(["running", "done"]),
  matched: count,
  done: count,
  createdAt: time,
  endedAt: v.optional(time),
};

/** Work on many dead letters that goes on by itself. */
export const operation = v.strictObject(operationFields);
export const startedOperation = v.strictObject({ ...operationFields, links: v.strictObject({ self: v.string() }) });

/** How much work waits at a step. */
export const queue = v.strictObject({
  workflow: v.string(),
  version: v.number(),
  step: v.string(),
  depth: count,
  inFlight: count,
  delayed: count,
  limited: count,
  dead: count,
  oldestAgeMs: count,
  workers: count,
  lanes: v.optional(v.strictObject({ high: count, normal: count, low: count })),
  paused: v.boolean(),
});

/** The same of a step in all versions of its workflow together. */
export const stepQueue = v.strictObject({
  workflow: v.string(),
  step: v.string(),
  depth: count,
  inFlight: count,
  delayed: count,
  limited: count,
  dead: count,
  oldestAgeMs: count,
  workers: count,
  paused: v.boolean(),
});

/** A worker process, or a consumer of a subscription. */
export const worker = v.strictObject({
  id: v.string(),
  alive: v.boolean(),
  seenAgoMs: count,
  silentMs: count,
  readerErrors: v.record(v.string(), count),
});

/** What may be paused: a workflow, one of its steps, or a tenant. */
const pausable = { workflow: v.optional(v.string()), step: v.optional(v.string()), tenant: v.optional(v.string()) };

/** What is paused. */
export const paused = v.strictObject({ ...pausable, since: time });

/** Whether it is, now that it was paused or resumed. */
export const pausedNow = v.strictObject({ ...pausable, paused: v.boolean() });

const graphStep = v.strictObject({
  name: v.string(),
  after: v.pipe(v.array(v.string()), v.readonly()),
  kind: v.optional(v.picklist(["map", "repeat", "sleep", "wait", "child"])),
  when: v.optional(v.literal(true)),
  limits: v.optional(v.literal(true)),
  undo: v.optional(v.literal(true)),
});

/** A workflow and its versions, the newest first. */
export const workflowView = v.strictObject({
  name: v.string(),
  current: v.number(),
  versions: v.array(
    v.strictObject({
      version: v.number(),
      current: v.boolean(),
      steps: v.pipe(v.array(graphStep), v.readonly()),
      workers: count,
      unserved: v.array(v.string()),
      runs: v.strictObject({ queued: count, running: count, waiting: count }),
      more: v.boolean(),
      stranded: v.boolean(),
    }),
  ),
});

/** A service's subscription to events. */
export const subscription = v.strictObject({
  group: v.string(),
  maxBytes: count,
  events: v.pipe(v.array(v.string()), v.readonly()),
  workflows: v.optional(v.pipe(v.array(v.string()), v.readonly())),
  steps: v.optional(v.pipe(v.array(v.string()), v.readonly())),
  tenant: v.optional(v.string()),
  createdAt: time,
  waiting: count,
  inHand: count,
  retrying: count,
  deadLetters: count,
  bytes: count,
  oldestAt: v.optional(time),
  consumers: count,
  paused: v.optional(v.strictObject({ reason: v.picklist(["full", "dead_letters", "wrong_type"]), since: time })),
  gap: v.optional(v.strictObject({ from: time, to: time })),
});

/** An event that a subscription's handler failed with for good. */
export const undelivered = v.strictObject({
  id: v.string(),
  event: v.strictObject({ ...runEvent.entries, workflow: v.string(), version: v.number(), tenant: v.string() }),
  attempts: count,
  error: errorRecord,
  at: time,
});

/** The time in which a subscription took no events. */
export const resumed = v.strictObject({ missed: v.strictObject({ from: time, to: time }) });

export const replayedCount = v.strictObject({ replayed: count });

/** What was used, in all, and by day and workflow. */
export const usageView = v.strictObject({
  tokens: count,
  cost: count,
  days: v.array(v.strictObject({ day: v.string(), workflow: v.string(), tokens: count, cost: count })),
});

export const configEntry = v.strictObject({ key: v.string(), value: json, revision: count, updatedAt: time });

export const deployment = v.strictObject({
  model: v.string(),
  version: v.string(),
  deployedAt: time,
  links: v.strictObject({ config: v.string() }),
});
