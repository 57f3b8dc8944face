import * as v from "valibot";
import { NotFoundError, type VersionView } from "../../engine/index.ts";
import type { Operations } from "../api/operations.ts";
import type { Gateway } from "../context.ts";
import { workflowView } from "../views/operator.ts";

/** The workflows and their versions: their steps, who serves them, and how many of their runs are live. */
export function workflowOperations(operations: Operations, { millrace }: Gateway): void {
  operations
    .on(
      "get",
      "/v1/workflows",
      {
        id: "listWorkflows",
        tag: "Operating",
        summary: "List workflows and their versions",
        scope: "runs:read",
        answers: { 200: { description: "All of them.", schema: v.strictObject({ data: v.array(workflowView) }) } },
      },
      async ({ tenant, reply }) => reply(200, { data: byWorkflow(await millrace.versions({ tenant })) }),
    )
    .on(
      "get",
      "/v1/workflows/{workflow}",
      {
        id: "getWorkflow",
        tag: "Operating",
        summary: "See a workflow and its versions",
        scope: "runs:read",
        answers: { 200: { description: "The workflow.", schema: workflowView } },
      },
      async ({ c, tenant, reply }) => {
        const workflow = c.req.param("workflow")!;
        const [found] = byWorkflow(await millrace.versions({ workflow, tenant }));
        if (found === undefined) throw new NotFoundError("workflow", workflow.slice(0, 64));
        return reply(200, found);
      },
    );
}

function byWorkflow(views: readonly VersionView[]): v.InferOutput<typeof workflowView>[] {
  const found = new Map<string, v.InferOutput<typeof workflowView>>();
  for (const { workflow, ...view } of views) {
    const known = found.get(workflow);
    if (known === undefined) found.set(workflow, { name: workflow, current: view.version, versions: [view] });
    else known.versions.push(view);
  }
  return [...found.values()];
}
