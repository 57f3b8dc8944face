import { setTimeout as after } from "node:timers/promises";
import * as v from "valibot";
import { type Millrace, workflow } from "../../engine/index.ts";

/** Exports the rows of an account, page by page. It may take hours, so whoever asked for it may change their mind. */
export const exportRows = workflow("export-rows", { input: v.object({ account: v.string(), pages: v.number() }) }).step(
  "export",
  async ({ account, pages }, ctx) => {
    for (let page = 0; page < pages; page += 1) {
      // Rejects at once when the run is cancelled: nothing is written for somebody who does not want it any more.
      await after(20, undefined, { signal: ctx.signal });
      ctx.progress((page + 1) / pages, `page ${page + 1} of ${account}`);
    }
    return { account, pages };
  },
);

/** Ends the exports of an account that have not ended. */
export async function stopExports({ runs }: Millrace, account: string): Promise<string[]> {
  const stopped: string[] = [];
  for (const status of ["queued", "running"] as const) {
    const { data } = await runs.list({ status, tag: account, limit: 100 });
    for (const { id } of data) {
      await runs.cancel(id);
      stopped.push(id);
    }
  }
  return stopped;
}
