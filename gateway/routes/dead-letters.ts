import * as v from "valibot";
import type { OperationView } from "../../engine/index.ts";
import { runLinks } from "../accepted.ts";
import type { Operations } from "../api/operations.ts";
import type { Gateway } from "../context.ts";
import { idParam } from "../ids.ts";
import { date, pageQuery } from "../schemas.ts";
import { id, page, runLinksView } from "../views/common.ts";
import { deadLetter, deadLetterDetails, operation, startedOperation } from "../views/operator.ts";

const filter = {
  workflow: v.optional(v.string()),
  step: v.optional(v.string()),
  errorCode: v.optional(v.string()),
  before: v.optional(date),
  after: v.optional(date),
};
const listQuery = v.strictObject({ ...pageQuery, ...filter });
const manyBody = v.strictObject({ ...filter, limit: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1))) });
const replayBody = v.strictObject({ input: v.optional(v.unknown()) });
const replayed = v.strictObject({ id, run: id, step: v.string(), links: runLinksView });

/** What failed for good: to be seen, resumed or dropped, one or many. */
export function deadLetterOperations(operations: Operations, { millrace }: Gateway): void {
  const { deadLetters } = millrace;

  operations.on(
    "get",
    "/v1/dead-letters",
    {
      id: "listDeadLetters",
      tag: "Dead letters",
      summary: "List dead letters, the newest first",
      scope: "dead-letters:read",
      admin: true,
      query: listQuery,
      answers: { 200: { description: "A page of dead letters.", schema: page(deadLetter) } },
    },
    async ({ tenant, query, reply }) => reply(200, await deadLetters.list({ tenant, ...query })),
  );

  for (const kind of ["replay", "discard"] as const)
    operations.on(
      "post",
      `/v1/dead-letters/${kind}`,
      {
        id: `${kind}DeadLetters`,
        tag: "Dead letters",
        summary: kind === "replay" ? "Replay all that fit a filter" : "Drop all that fit a filter",
        scope: "dead-letters:write",
        admin: true,
        idempotent: "by-reply",
        body: manyBody,
        answers: {
          202: {
            description: "The work goes on by itself.",
            schema: startedOperation,
            headers: { Location: "How far it is." },
          },
        },
      },
      async ({ tenant, body: { limit, ...wanted }, draw, reply }) => {
        const act = kind === "replay" ? "replayMany" : "discardMany";
        const view = await deadLetters[act](wanted, { tenant, limit, id: draw?.id });
        const self = operationPath(view);
        return reply(202, { ...view, links: { self } }, { Location: self });
      },
    );

  operations.on(
    "get",
    "/v1/dead-letters/operations/{id}",
    {
      id: "getDeadLetterOperation",
      tag: "Dead letters",
      summary: "See how far work on many dead letters is",
      scope: "dead-letters:read",
      admin: true,
      answers: { 200: { description: "The work.", schema: operation } },
    },
    async ({ c, tenant, reply }) => reply(200, await deadLetters.operation(idParam(c, "operation"), { tenant })),
  );

  operations.on(
    "get",
    "/v1/dead-letters/{id}",
    {
      id: "getDeadLetter",
      tag: "Dead letters",
      summary: "See a dead letter with what its step was given and how it failed",
      scope: "dead-letters:read",
      admin: true,
      answers: { 200: { description: "The dead letter.", schema: deadLetterDetails } },
    },
    async ({ c, tenant, reply }) => reply(200, await deadLetters.get(idParam(c, "dead letter"), { tenant })),
  );

  operations.on(
    "post",
    "/v1/dead-letters/{id}/replay",
    {
      id: "replayDeadLetter",
      tag: "Dead letters",
      summary: "Let a run go on from the step that failed",
      description: "Without a body the step gets what it was given before; with `input` it gets that.",
      scope: "dead-letters:write",
      admin: true,
      idempotent: "by-reply",
      body: replayBody,
      bodyOptional: true,
      answers: { 202: { description: "The run goes on.", schema: replayed, headers: { Location: "The run." } } },
      problems: [409],
    },
    async ({ c, tenant, body, reply }) => {
      const id = idParam(c, "dead letter");
      const { run, step } = await deadLetters.replay(id, { tenant, ...body });
      return reply(202, { id, run, step, links: runLinks(run) }, { Location: runLinks(run).self });
    },
  );

  operations.on(
    "delete",
    "/v1/dead-letters/{id}",
    {
      id: "discardDeadLetter",
      tag: "Dead letters",
      summary: "Drop a dead letter",
      scope: "dead-letters:write",
      admin: true,
      answers: { 204: { description: "It is gone." } },
    },
    async ({ c, tenant }) => {
      await deadLetters.discard(idParam(c, "dead letter"), { tenant });
      return c.body(null, 204);
    },
  );
}

function operationPath({ id }: OperationView): string {
  return `/v1/dead-letters/operations/${id}`;
}
