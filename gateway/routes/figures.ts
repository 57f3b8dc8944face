import * as v from "valibot";
import { NotFoundError, type QueueView } from "../../engine/index.ts";
import type { Operations } from "../api/operations.ts";
import type { Gateway } from "../context.ts";
import { queue, stepQueue, usageView, worker } from "../views/operator.ts";

const text = v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(200)));
const usageQuery = v.strictObject({ key: text, workflow: text, from: text, to: text });

/** How much work waits, who does it, and what was used. */
export function figureOperations(operations: Operations, { millrace }: Gateway): void {
  operations
    .on(
      "get",
      "/v1/queues",
      {
        id: "listQueues",
        tag: "Operating",
        summary: "See how much work waits at each step",
        description: "Of all tenants together: workers serve them all.",
        scope: "queues:read",
        answers: {
          200: { description: "Every step of every version.", schema: v.strictObject({ data: v.array(queue) }) },
        },
      },
      async ({ reply }) => reply(200, { data: await millrace.queues() }),
    )
    .on(
      "get",
      "/v1/queues/{workflow}/{step}",
      {
        id: "getQueue",
        tag: "Operating",
        summary: "See how much work waits at one step, in all versions together",
        description:
          "What autoscalers go by. `workers` is of the version that has the most, the age that of the oldest entry.",
        scope: "queues:read",
        answers: { 200: { description: "The sums.", schema: stepQueue } },
      },
      async ({ c, reply }) => {
        const { workflow, step } = c.req.param() as { workflow: string; step: string };
        const all = (await millrace.queues()).filter((each) => each.workflow === workflow && each.step === step);
        if (all.length === 0) throw new NotFoundError("step", `${workflow}/${step}`.slice(0, 128));
        const sum = (of: (each: QueueView) => number) => all.reduce((total, each) => total + of(each), 0);
        return reply(200, {
          ...{ workflow, step, depth: sum(({ depth }) => depth), inFlight: sum(({ inFlight }) => inFlight) },
          ...{ delayed: sum(({ delayed }) => delayed), limited: sum(({ limited }) => limited) },
          dead: sum(({ dead }) => dead),
          oldestAgeMs: Math.max(...all.map(({ oldestAgeMs }) => oldestAgeMs)),
          workers: Math.max(...all.map(({ workers }) => workers)),
          paused: all.every(({ paused }) => paused),
        });
      },
    )
    .on(
      "get",
      "/v1/workers",
      {
        id: "listWorkers",
        tag: "Operating",
        summary: "See who does the work, and how their reads are doing",
        scope: "queues:read",
        answers: { 200: { description: "Every worker process.", schema: v.strictObject({ data: v.array(worker) }) } },
      },
      async ({ reply }) => reply(200, { data: await millrace.workers() }),
    )
    .on(
      "get",
      "/v1/usage",
      {
        id: "getUsage",
        tag: "Operating",
        summary: "See what was used, by day and workflow",
        scope: "usage:read",
        query: usageQuery,
        answers: { 200: { description: "The sums.", schema: usageView } },
      },
      async ({ tenant, query, reply }) => reply(200, await millrace.usage({ tenant, ...query })),
    );
}
