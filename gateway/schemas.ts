import * as v from "valibot";
import { type Dedupe, PRIORITIES, parseCursor, START_LIMITS, type StartTerms } from "../engine/index.ts";
import { MOST_OVERLAP_MS } from "../workflows/webhooks/secrets.ts";

/** `limit` and `cursor` of every list. */
export const pageQuery = {
  limit: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^[0-9]{1,3}$/, "A whole number from 1 to 100."),
      v.transform(Number),
      v.minValue(1, "1 is the least."),
      v.maxValue(100, "100 is the most."),
    ),
  ),
  cursor: v.optional(v.pipe(v.string(), v.maxLength(200))),
};

/** A time, as the engine takes it. */
export const date = v.pipe(
  v.string(),
  v.isoTimestamp("A time in ISO 8601, such as 2026-01-31T12:00:00.000Z."),
  v.transform((text) => new Date(text)),
);

/** How soon a run's steps are read where much waits. */
export const priority = v.optional(v.picklist(PRIORITIES, `One of ${PRIORITIES.join(", ")}.`));

/** A whole number of milliseconds. */
const ms = (least: number, most: number) => {
  const message = `A whole number of milliseconds from ${least} to ${most}.`;
  return v.pipe(v.number(message), v.integer(message), v.minValue(least, message), v.maxValue(most, message));
};
const { longestMs, windowMs, key, tags, tag } = START_LIMITS;

/** How long the secret before a rotation stays good. */
export const overlap = v.optional(ms(0, MOST_OVERLAP_MS));

/** A run's tag. */
export const tagName = v.pipe(v.string(), v.regex(tag, "1 to 64 of A-Z a-z 0-9 _ . : / @ = + -"));

const dedupeKey = v.pipe(v.string(), v.minLength(1), v.maxLength(key, `At most ${key} characters.`));
const modes = v.variant("mode", [
  v.strictObject({ mode: v.literal("simple"), key: dedupeKey, window: v.optional(ms(0, windowMs)) }),
  v.strictObject({ mode: v.literal("throttle"), key: dedupeKey, window: ms(1, windowMs) }),
  v.strictObject({
    mode: v.literal("debounce"),
    key: dedupeKey,
    window: ms(1, windowMs),
    maxWait: v.optional(ms(1, longestMs)),
  }),
]);

const dedupe = v.pipe(
  modes,
  v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed || dataset.value.mode !== "debounce") return;
    const { window, maxWait = window } = dataset.value;
    if (maxWait >= window) return;
    const path = [{ type: "object", origin: "value", input: dataset.value, key: "maxWait", value: maxWait }] as const;
    addIssue({ message: "No less than the window.", path: [...path] });
  }),
);

/** When a run starts, how long it may take and how it is found. The engine checks how these go together. */
export const startTerms = {
  delay: v.optional(ms(0, longestMs)),
  runAt: v.optional(v.pipe(v.string(), v.isoTimestamp("A time such as 2030-01-31T09:00:00.000Z."))),
  ttl: v.optional(ms(1, longestMs)),
  deadline: v.optional(ms(1, longestMs)),
  tags: v.optional(v.pipe(v.array(tagName), v.maxLength(tags, `At most ${tags} tags.`))),
  dedupe: v.optional(dedupe),
  budget: v.optional(v.strictObject({ tokens: v.optional(v.number()), cost: v.optional(v.number()) })),
};

/** The terms of a request as the engine takes them. */
export function termsOf(sent: v.InferOutput<v.ObjectSchema<typeof startTerms, undefined>>): StartTerms {
  const { delay, runAt, ttl, deadline, tags, dedupe, budget } = sent;
  return {
    delayMs: delay,
    runAt: runAt === undefined ? undefined : new Date(runAt),
    ttlMs: ttl,
    deadlineMs: deadline,
    tags,
    budget,
    dedupe: dedupe === undefined ? undefined : dedupeOf(dedupe),
  };
}

function dedupeOf(sent: v.InferOutput<typeof dedupe>): Dedupe {
  const { key } = sent;
  if (sent.mode === "simple") return { key, mode: sent.mode, windowMs: sent.window };
  if (sent.mode === "throttle") return { key, mode: sent.mode, windowMs: sent.window };
  return { key, mode: sent.mode, windowMs: sent.window, maxWaitMs: sent.maxWait };
}

/** Where in a run's events to begin: the number of the last one seen, or its cursor. */
export const after = v.pipe(
  v.string(),
  v.check((text) => parseCursor(text) !== undefined, "An event's number, or its cursor."),
);
