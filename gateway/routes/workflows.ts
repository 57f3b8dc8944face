import { Hono } from "hono";
import { NotFoundError, type VersionView } from "../../engine/index.ts";
import { type Env, type Gateway, tenantOf } from "../context.ts";

interface WorkflowView {
  name: string;
  /** The newest version. */
  current: number;
  /** The newest first. */
  versions: Omit<VersionView, "workflow">[];
}

/** The workflows and their versions: their steps, who serves them, and how many of their runs are live. */
export function workflowRoutes({ millrace }: Gateway): Hono<Env> {
  return new Hono<Env>()
    .get("/v1/workflows", async (c) => c.json({ data: byWorkflow(await millrace.versions({ tenant: tenantOf(c) })) }))
    .get("/v1/workflows/:workflow", async (c) => {
      const workflow = c.req.param("workflow");
      const [found] = byWorkflow(await millrace.versions({ workflow, tenant: tenantOf(c) }));
      if (found === undefined) throw new NotFoundError("workflow", workflow.slice(0, 64));
      return c.json(found);
    });
}

function byWorkflow(views: readonly VersionView[]): WorkflowView[] {
  const found = new Map<string, WorkflowView>();
  for (const { workflow, ...view } of views) {
    const known = found.get(workflow);
    if (known === undefined) found.set(workflow, { name: workflow, current: view.version, versions: [view] });
    else known.versions.push(view);
  }
  return [...found.values()];
}
