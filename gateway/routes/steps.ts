import * as v from "valibot";
import { runLinks } from "../accepted.ts";
import type { Operations } from "../api/operations.ts";
import type { Gateway } from "../context.ts";
import { idParam } from "../ids.ts";
import { pageQuery } from "../schemas.ts";
import { sendSignal } from "../signal.ts";
import { page, toldRun } from "../views/common.ts";
import { itemView } from "../views/runs.ts";

/** What is said to the steps of a run, and seen of their items. */
export function stepOperations(operations: Operations, gateway: Gateway): void {
  const { millrace } = gateway;
  operations.on(
    "post",
    "/v1/runs/{id}/signals/{name}",
    {
      id: "signalRun",
      tag: "Runs",
      summary: "Send a signal to a step that waits for it",
      description:
        "The body is what the signal brings; without one it brings null. It is kept if the step does not wait yet.",
      scope: "signals:write",
      ticket: "signal",
      idempotent: "by-key",
      body: v.unknown(),
      bodyOptional: true,
      answers: { 202: { description: "The signal is stored.", schema: toldRun, headers: { Location: "The run." } } },
      problems: [409],
    },
    async ({ c, caller, body, key, reply }) => {
      const id = idParam(c, "run");
      await sendSignal(gateway, caller, { run: id, name: c.req.param("name")!, data: body, idempotencyKey: key });
      return reply(202, { id, links: runLinks(id) }, { Location: runLinks(id).self });
    },
  );

  operations.on(
    "get",
    "/v1/runs/{id}/steps/{name}/items",
    {
      id: "listItems",
      tag: "Runs",
      summary: "List the items of a map, or the turns of a loop",
      scope: "runs:read",
      query: v.strictObject(pageQuery),
      answers: { 200: { description: "A page of items.", schema: page(itemView) } },
    },
    async ({ c, tenant, query, reply }) =>
      reply(200, await millrace.runs.items(idParam(c, "run"), c.req.param("name")!, { tenant, ...query })),
  );
}
