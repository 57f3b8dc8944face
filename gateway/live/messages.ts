import * as v from "valibot";
import { KEY_PATTERN } from "../idempotency.ts";
import { after } from "../schemas.ts";
import { id, problem } from "../views/common.ts";
import { runSummary } from "../views/runs.ts";

/** What a client calls one of its messages, to know what is about it. */
export const messageId = v.pipe(v.string(), v.minLength(1), v.maxLength(64, "At most 64 characters."));

const what = { run: v.optional(v.string()), workflow: v.optional(v.string()), all: v.optional(v.literal(true)) };

/** A client begins to watch one of `run`, `workflow` and `all`. */
export const subscribe = v.strictObject({
  ...{ type: v.literal("subscribe"), ...what, snapshot: v.optional(v.boolean()) },
  after: v.optional(v.union([v.string(), v.pipe(v.number(), v.integer(), v.minValue(0), v.transform(String))])),
});

/** A client no longer watches that. */
export const unsubscribe = v.strictObject({ type: v.literal("unsubscribe"), ...what });

/** A client hands a signal to a run. */
export const signalMessage = v.strictObject({
  ...{ type: v.literal("signal"), run: v.string(), name: v.string(), data: v.optional(v.unknown()) },
  id: v.optional(messageId),
  idempotencyKey: v.optional(v.pipe(v.string(), v.regex(KEY_PATTERN, "1 to 255 printable ASCII characters."))),
});
export type SignalMessage = v.InferOutput<typeof signalMessage>;

/** A client asks whether the connection still is one. */
export const ping = v.strictObject({ type: v.literal("ping") });

/** What the client of a socket of one run says. */
export const runMessage = v.variant("type", [signalMessage, ping]);

/** What the client of a `/v1/live` socket says. */
export const clientMessage = v.pipe(
  v.variant("type", [subscribe, unsubscribe, signalMessage, ping]),
  v.check(
    (message) =>
      message.type === "signal" ||
      message.type === "ping" ||
      [message.run, message.workflow, message.all].filter((each) => each !== undefined).length === 1,
    "One of run, workflow and all is wanted.",
  ),
);
export type ClientMessage = v.InferOutput<typeof clientMessage>;

/** Where a run goes on is said as a number or a cursor of its own. */
export const ofRun = v.looseObject({ after: v.optional(after) });

const of = { workflow: v.optional(v.string()), all: v.optional(v.literal(true)) };

/** What a client asked for cannot be done. */
export const refusal = v.strictObject({
  type: v.literal("error"),
  problem: v.strictObject({
    ...problem.entries,
    ...of,
    name: v.optional(v.string()),
    id: v.optional(messageId),
    retryAfter: v.optional(v.number()),
  }),
});

/** A client's signal is stored. */
export const accepted = v.strictObject({
  ...{ type: v.literal("accepted"), run: id, name: v.string() },
  id: v.optional(messageId),
});

/** Where many runs go on. */
export const place = v.strictObject({ type: v.literal("cursor"), cursor: v.string(), ...of });

/** What many runs are to be begun anew from. */
export const resetOfMany = v.strictObject({
  ...{ type: v.literal("reset"), runs: v.array(runSummary), more: v.boolean() },
  ...of,
});

/** It is. */
export const pong = v.strictObject({ type: v.literal("pong") });

/** Whether the gateway hears Redis. */
export const disconnected = v.strictObject({ type: v.literal("disconnected") });
export const connected = v.strictObject({ type: v.literal("connected") });
