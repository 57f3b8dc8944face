import * as v from "valibot";
import { NAME_PATTERN, NotFoundError } from "../../engine/index.ts";
import { demand } from "../access/caller.ts";
import type { Operations } from "../api/operations.ts";
import type { Gateway } from "../context.ts";
import { issuedTicket } from "../views/access.ts";
import { id } from "../views/common.ts";

const ticketBody = v.strictObject({
  runs: v.optional(v.pipe(v.array(id), v.minLength(1), v.maxLength(100, "At most 100 runs."))),
  workflows: v.optional(
    v.pipe(
      v.array(v.pipe(v.string(), v.regex(NAME_PATTERN))),
      v.minLength(1),
      v.maxLength(20, "At most 20 workflows."),
    ),
  ),
  canSignal: v.optional(v.boolean()),
  ttl: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1_000), v.maxValue(3_600_000))),
});

/** What a page is given in place of a key. */
export function ticketOperations(operations: Operations, { millrace }: Gateway): void {
  operations.on(
    "post",
    "/v1/tickets",
    {
      id: "issueTicket",
      tag: "Access",
      summary: "Make a ticket for a page",
      description:
        "It opens one socket or event stream, reads one run or sends one signal, as `?ticket=`: of these runs, or of all runs of these workflows, of one of which it also reads the list. With `canSignal` that socket takes signals, too. `ttl` is in milliseconds, 60,000 unless you say otherwise.",
      scope: "runs:read",
      idempotent: "by-reply",
      body: ticketBody,
      answers: { 201: { description: "The ticket.", schema: issuedTicket } },
      problems: [404],
    },
    async ({ caller, tenant, body, draw, reply }) => {
      const { ttl: ttlMs, canSignal = false, runs, workflows } = body;
      if (canSignal) demand(caller, "signals:write");
      // Of another tenant's run there is none to be had, so that nobody waits for it.
      for (const run of runs ?? []) await millrace.runs.summary(run, { tenant });
      for (const name of workflows ?? []) if (!millrace.workflows.has(name)) throw new NotFoundError("workflow", name);
      const key = caller.key === undefined ? {} : { key: caller.key };
      const wanted = { tenant, runs, workflows, canSignal, ttlMs, ...key };
      const ticket = await millrace.access.tickets.issue(wanted, draw);
      return reply(201, ticket, { "Cache-Control": "no-store" });
    },
  );
}
