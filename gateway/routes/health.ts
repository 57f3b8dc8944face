import * as v from "valibot";
import { sumErrors } from "../../engine/index.ts";
import type { Operations } from "../api/operations.ts";
import type { Gateway } from "../context.ts";
import { count } from "../views/common.ts";

const ready = v.strictObject({
  status: v.literal("ok"),
  workers: v.strictObject({ alive: count, silent: count }),
  readerErrors: v.record(v.string(), count),
});

/** Whether this process runs, and whether it can serve. */
export function healthOperations(operations: Operations, { millrace }: Gateway): void {
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
          "It asks Redis, and answers 503 while that is away. It also says whether there are workers, without which runs are taken all the same and wait.",
        scope: "public",
        answers: { 200: { description: "It can.", schema: ready } },
      },
      async ({ reply }) => {
        const all = await millrace.workers();
        const alive = all.filter((worker) => worker.alive).length;
        return reply(200, {
          status: "ok",
          workers: { alive, silent: all.length - alive },
          readerErrors: sumErrors(all),
        });
      },
    );
}
