import * as v from "valibot";
import { FatalError, workflow } from "../../engine/index.ts";

/** Checks every link of a site, ten at once. A dead one is a result and not a failure of the whole. */
export const linkCheck = workflow("link-check", { input: v.object({ links: v.array(v.string()) }) })
  .map("check", {
    over: ({ links }) => links,
    limit: 10,
    onItemFailure: "collect",
    retry: { attempts: 3, baseMs: 100 },
    run: async (link, ctx) => {
      const { status } = await fetch(link, { method: "HEAD", signal: ctx.signal });
      // That a page is not there will not change; a server that is busy may be free in a moment.
      if (status === 404) throw new FatalError(`${link} is not there.`, { code: "dead_link" });
      if (status >= 500) throw new Error(`${link} answers ${status}.`);
      return { link, status };
    },
  })
  .step("report", (results) => ({
    alive: results.filter((each) => each.ok).length,
    dead: results.flatMap((each) => (each.ok ? [] : [each.error.message])),
  }));
