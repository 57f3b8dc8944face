import type { Operations } from "../api/operations.ts";
import type { Gateway } from "../context.ts";
import { METRICS_TYPE } from "../metrics/registry.ts";

/** The figures of this process and of all, for Prometheus. @param isOpen for everybody who reaches this port */
export function metricsOperations(operations: Operations, { metrics }: Gateway, isOpen: boolean): void {
  operations.on(
    "get",
    "/metrics",
    {
      id: "getMetrics",
      tag: "Operating",
      summary: "See all figures, in the text format of Prometheus",
      description:
        "Those of this process, and those of queues, workers and subscriptions, which every gateway tells alike. Redis is asked for these once a second at the most; while it is away they are missing, and `millrace_store_up` is 0.",
      scope: isOpen ? "public" : "queues:read",
      admin: true,
      answers: { 200: { description: "The figures.", type: "text/plain" } },
    },
    async ({ c }) => c.body(await metrics.text(), 200, { "Content-Type": METRICS_TYPE, "Cache-Control": "no-store" }),
  );
}
