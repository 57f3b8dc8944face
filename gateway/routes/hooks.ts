import { hexDigest } from "../../engine/index.ts";
import { accepted, runLinks } from "../accepted.ts";
import { startFor } from "../access/caller.ts";
import { counting, takeRate } from "../access/key-limits.ts";
import type { Operations } from "../api/operations.ts";
import { gather, readBody } from "../body.ts";
import type { Gateway } from "../context.ts";
import { idParam } from "../ids.ts";
import { at, type InboundHook } from "../inbound/hook.ts";
import { InboundHooks } from "../inbound/hooks.ts";
import { verify } from "../inbound/verify.ts";
import { decodeText, parseJson } from "../json.ts";
import { ProblemError } from "../problem.ts";
import { receivedView } from "../views/webhooks.ts";

const MOST_ID = 256;

/** Messages of other services, which are let in by their signatures. */
export function hookOperations(operations: Operations, gateway: Gateway): void {
  const { millrace, limits } = gateway;
  const { access } = millrace;
  const hooks = new InboundHooks(millrace);

  operations.on(
    "post",
    "/v1/hooks/{id}",
    {
      id: "receiveMessage",
      tag: "Webhooks",
      summary: "Take a message that another service has signed",
      description:
        "The inbound hook says how it is signed, and what it starts or whom it is told. The same message again is the same run.",
      scope: "public",
      idempotent: "always",
      traced: true,
      raw: { types: ["*/*"], description: "JSON, as it was signed." },
      answers: {
        202: { description: "It has started the run, or was told to it.", schema: receivedView },
      },
      problems: [400, 401, 404, 408, 409, 413, 415, 422, 429],
    },
    async ({ c, trace, reply }) => {
      const hook = await hooks.receiving(idParam(c, "inbound hook"));
      const bytes = await gather(readBody(c.req.raw, { maxBytes: limits.jsonBytes, idleMs: limits.bodyIdleMs }));
      const { headers } = c.req.raw;
      const signed = await verify(hook, headers, bytes, Date.now());
      // Not before that: who has no secret takes nothing of what the key may.
      await takeRate(c, access, hook.limits);
      const body = parseJson(decodeText(bytes), "body");
      const id = await hexDigest("SHA-256", messageId(hook, headers, body) ?? signed);
      const { action, tenant } = hook;
      if ("start" in action) {
        const input = action.headers === undefined ? body : { headers: named(headers, action.headers), body };
        const digest = await hexDigest("SHA-256", bytes);
        const idempotency = { scope: `hooks ${hook.id}`, key: id, digest };
        const counted = counting(access, hook.limits);
        const start = () => millrace.runs.start(action.start, input, { tenant, idempotency, ...trace });
        return accepted(c, await startFor(gateway, { counted }, start));
      }
      const run = at(body, action.runFrom);
      if (typeof run !== "string")
        throw new ProblemError(422, "invalid_input", `There is no run's id at ${action.runFrom} in the body.`);
      await millrace.runs.signal(run, action.signal, body, { tenant, key: id });
      return reply(202, { id: run, links: runLinks(run) });
    },
  );
}

/** The sender's own id of the message, where the hook says that it has one. @throws ProblemError 422 if it has none */
function messageId(hook: InboundHook, headers: Headers, body: unknown): string | undefined {
  if (hook.scheme === "standard-webhooks" || hook.messageId === undefined) return undefined;
  const { messageId } = hook;
  const id = "header" in messageId ? headers.get(messageId.header) : at(body, messageId.path);
  if (typeof id === "string" && id !== "" && id.length <= MOST_ID) return id;
  throw new ProblemError(422, "invalid_input", "The message has no id where this hook looks for it.");
}

function named(headers: Headers, names: readonly string[]): Record<string, string> {
  const found = names.map((name) => [name.toLowerCase(), headers.get(name)] as const);
  return Object.fromEntries(found.filter((each): each is [string, string] => each[1] !== null));
}
