import * as v from "valibot";
import { asyncApi } from "../api/asyncapi.ts";
import { openApi } from "../api/openapi.ts";
import type { Operations } from "../api/operations.ts";
import { reference } from "../api/reference.ts";
import { VERSION } from "../version.ts";

const CACHED = { "Cache-Control": "public, max-age=300" };
/** The page has no script, and takes nothing from elsewhere. */
const POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** What the API is, for programs and for people. */
export function apiOperations(operations: Operations): void {
  let document: ReturnType<typeof openApi> | undefined;
  // Made when it is first asked for, and then all operations are declared.
  const api = () => {
    document ??= openApi(operations.all, { version: VERSION });
    return document;
  };

  operations
    .on(
      "get",
      "/openapi.json",
      {
        id: "getOpenApi",
        tag: "Health",
        summary: "This description of the API, for programs",
        scope: "public",
        answers: { 200: { description: "An OpenAPI 3.1 document.", schema: v.record(v.string(), v.unknown()) } },
      },
      ({ reply }) => reply(200, api(), CACHED),
    )
    .on(
      "get",
      "/asyncapi.json",
      {
        id: "getAsyncApi",
        tag: "Health",
        summary: "The description of the sockets and event streams, for programs",
        scope: "public",
        answers: { 200: { description: "An AsyncAPI 3.0 document.", schema: v.record(v.string(), v.unknown()) } },
      },
      ({ reply }) => reply(200, asyncApi({ version: VERSION }), CACHED),
    )
    .on(
      "get",
      "/docs",
      {
        id: "getReference",
        tag: "Health",
        summary: "This description of the API, for people",
        scope: "public",
        answers: { 200: { description: "A page.", type: "text/html" } },
      },
      ({ c }) => c.html(reference(api()), 200, { ...CACHED, "Content-Security-Policy": POLICY }),
    );
}
