import * as v from "valibot";
import type { Operations } from "../api/operations.ts";
import type { Gateway } from "../context.ts";
import { ProblemError } from "../problem.ts";
import { readinessOf, type Unwell } from "../readiness.ts";
import { count } from "../views/common.ts";

const ready = v.strictObject({
  status: v.literal("ok"),
  workers: v.strictObject({ alive: count, silent: count }),
});

const WORDS: Record<Unwell, string> = {
  reads: "The store does not answer reads.",
  events: "What is published in the store is not heard.",
};

/** Whether this process runs, and whether it can serve. */
export function healthOperations(operations: Operations, { millrace }: Gateway): void {
  const readiness = readinessOf(millrace);
  operations
    .on(
      "get",
      "/livez",
      {
        id: "isLive",
        tag: "Health",
        summary: "Whether this process runs",
        scope: "public",
        answers: { 200: { description: "It does.", schema: v.strictObject({ status: v.literal("ok") }) } },
      },
      ({ reply }) => reply(200, { status: "ok" }),
    )
    .on(
      "get",
      "/readyz",
      {
        id: "isReady",
        tag: "Health",
        summary: "Whether this process can serve",
        description:
          "It reads from Redis, and answers 503 if a read does not complete in 3 seconds, or what is published there is not heard: `errors` names the part, `reads` or `events`. It also says whether there are workers, without which runs are taken all the same and wait.",
        scope: "public",
        answers: { 200: { description: "It can.", schema: ready } },
      },
      async ({ reply }) => {
        const { unwell, workers } = await readiness();
        if (workers !== undefined && unwell.length === 0) return reply(200, { status: "ok", workers });
        throw new ProblemError(503, "unavailable", "This process cannot serve at the moment. Try again.", {
          errors: unwell.map((part) => ({ path: [part], message: WORDS[part] })),
          headers: { "Retry-After": "1" },
        });
      },
    );
}
