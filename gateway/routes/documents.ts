import { Hono } from "hono";
import * as v from "valibot";
import type { BlobInfo, StartedRun } from "../../engine/index.ts";
import { ConflictError, NotFoundError, UnavailableError, UnconfirmedError } from "../../engine/index.ts";
import { accepted } from "../accepted.ts";
import { type Env, type Gateway, tenantOf } from "../context.ts";
import { idempotency, idempotencyKey } from "../idempotency.ts";
import { idParam } from "../ids.ts";
import { readQuery } from "../json.ts";
import { ProblemError } from "../problem.ts";
import { receive } from "../upload/incoming.ts";
import { attachment } from "../upload/name.ts";
import { answerTo, entityTag, isConditional } from "../upload/ranges.ts";

const uploadQuery = v.strictObject({ name: v.optional(v.string()), workflow: v.optional(v.string()) });

/** What a run gets, and a client sees, of a document. */
type DocumentView = Pick<BlobInfo, "id" | "name" | "type" | "size" | "sha256">;

/** Documents in, with a run of their own if wanted, and out. */
export function documentRoutes({ millrace, limits, log }: Gateway): Hono<Env> {
  const routes = new Hono<Env>();
  const { blobs } = millrace;

  routes.post("/v1/documents", async (c) => {
    const { name, workflow } = readQuery(c, uploadQuery);
    const key = idempotencyKey(c);
    if (workflow === undefined && key !== undefined)
      throw new ProblemError(400, "idempotency_key", "An Idempotency-Key goes with ?workflow= only.");
    if (workflow !== undefined && !millrace.workflows.has(workflow)) throw new NotFoundError("workflow", workflow);

    const tenant = tenantOf(c);
    const incoming = await receive(c, limits, name);
    let blob: BlobInfo;
    try {
      const source = { tenant, name: incoming.name, type: incoming.type };
      blob = await blobs.put(source, incoming.content, { maxBytes: limits.uploadBytes });
    } finally {
      await incoming.close();
    }
    const document = viewOf(blob);
    if (workflow === undefined) return c.json(document, 201, { Location: `/v1/documents/${document.id}` });

    const started = await startWith(workflow, document, tenant, key);
    if (started.created) return accepted(c, started, { document });
    await blobs.delete(tenant, document.id);
    const first = await millrace.runs.get(started.id, { tenant });
    return accepted(c, started, first.input as { document: DocumentView });
  });

  async function startWith(
    workflow: string,
    document: DocumentView,
    tenant: string,
    key: string | undefined,
  ): Promise<StartedRun> {
    const same = await idempotency(key, "documents", [workflow, document.name, document.sha256]);
    try {
      return await millrace.runs.start(workflow, { document }, { tenant, ...same });
    } catch (error) {
      const isOthers = error instanceof UnconfirmedError && (await isOf(error.run, tenant, document)) === false;
      // The run may be stored although Redis did not say so: then it needs its document.
      if (error instanceof UnavailableError && !isOthers)
        log.warn("kept document {document}, whose run may exist: {error}", { document: document.id, error });
      else await blobs.delete(tenant, document.id);
      throw error;
    }
  }

  /** Whether a run was started with this document, and not by an earlier call; undefined if that cannot be known now. */
  async function isOf(run: string, tenant: string, { id }: DocumentView): Promise<boolean | undefined> {
    const found = await millrace.runs.get(run, { tenant }).catch(() => undefined);
    return found && (found.input as { document: DocumentView }).document.id === id;
  }

  routes.get("/v1/documents/:id", async (c) => {
    const [tenant, id] = [tenantOf(c), idParam(c, "document")];
    if (!isConditional(c)) {
      const { blob, body } = await blobs.open(tenant, id);
      return c.body(body, 200, { ...headersOf(blob), "Content-Length": String(blob.size) });
    }
    const blob = await blobs.find(tenant, id);
    if (blob === undefined) throw new NotFoundError("document", id);
    const answer = answerTo(c, blob);
    if (answer.status === 304) return c.body(null, 304, { ETag: entityTag(blob) });
    if (answer.status === 416)
      throw new ProblemError(416, "range", `The document has ${blob.size} bytes.`, { headers: answer.headers });
    const { range, headers } = answer.status === 206 ? answer : {};
    const length = { "Content-Length": String(range?.length ?? blob.size) };
    const all = { ...headersOf(blob), ...headers, ...length };
    if (c.req.method === "HEAD") return c.body(null, answer.status, all);
    const { body } = await blobs.open(tenant, id, { range });
    return c.body(body, answer.status, all);
  });

  routes.delete("/v1/documents/:id", async (c) => {
    const [tenant, id] = [tenantOf(c), idParam(c, "document")];
    const blob = await blobs.find(tenant, id);
    if (blob === undefined) throw new NotFoundError("document", id);
    if (blob.run !== undefined)
      throw new ConflictError("document_of_run", `It belongs to run ${blob.run}, and goes when that is deleted.`);
    await blobs.delete(tenant, id);
    return c.body(null, 204);
  });

  return routes;
}

function headersOf(blob: BlobInfo): Record<string, string> {
  return {
    "Content-Type": blob.type,
    "Content-Disposition": attachment(blob.name),
    "Accept-Ranges": "bytes",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    ETag: entityTag(blob),
  };
}

function viewOf({ id, name, type, size, sha256 }: BlobInfo): DocumentView {
  return { id, name, type, size, sha256 };
}
