import type { Operations } from "../api/operations.ts";
import { NOT_AGAIN, TAGGED, UNCHANGED } from "../conditional.ts";
import { assetResponse, dashboard, NOT_BUILT } from "../dashboard/serve.ts";
import { ProblemError } from "../problem.ts";

/** Scripts and styles are this gateway's files, and nothing else is asked. What is shown is never taken for HTML: the browser refuses it. */
const POLICY = [
  ...["default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'"],
  ...["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"],
].join("; ");

/** The dashboard: one page, and the files that it is made of. */
export function dashboardOperations(operations: Operations): void {
  operations
    .on(
      "get",
      "/",
      {
        id: "getDashboard",
        tag: "Health",
        summary: "The dashboard, for people",
        scope: "public",
        headers: NOT_AGAIN,
        answers: {
          200: { description: "A page.", type: "text/html", headers: TAGGED },
          304: UNCHANGED,
          404: { description: "It is not built: a page that says how.", type: "text/html" },
        },
      },
      async ({ c }) => {
        const built = await dashboard();
        if (built === undefined) return c.html(NOT_BUILT, 404, { "Cache-Control": "no-store" });
        return assetResponse(c, built.page, { "Cache-Control": "no-cache", "Content-Security-Policy": POLICY });
      },
    )
    .on(
      "get",
      "/assets/{name}",
      {
        id: "getDashboardFile",
        tag: "Health",
        summary: "A file of the dashboard",
        scope: "public",
        headers: NOT_AGAIN,
        answers: { 200: { description: "The file.", headers: TAGGED }, 304: UNCHANGED },
      },
      async ({ c }) => {
        const name = c.req.param("name")!;
        const files = (await dashboard())?.files ?? {};
        if (!Object.hasOwn(files, name)) throw new ProblemError(404, undefined, `There is nothing at ${c.req.path}.`);
        // Its name changes with what is in it.
        return assetResponse(c, files[name]!, { "Cache-Control": "public, max-age=31536000, immutable" });
      },
    );
}
