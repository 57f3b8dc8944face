import * as v from "valibot";
import type { BlobInfo, StartedRun, StartOptions } from "../../engine/index.ts";
import { ConflictError, NotFoundError, UnavailableError, UnconfirmedError } from "../../engine/index.ts";
import { accepted } from "../accepted.ts";
import { demand, startFor } from "../access/caller.ts";
import type { Operations } from "../api/operations.ts";
import type { Gateway } from "../context.ts";
import { digestOf, idempotency } from "../idempotency.ts";
import { idParam } from "../ids.ts";
import { ProblemError } from "../problem.ts";
import { receive } from "../upload/incoming.ts";
import { attachment } from "../upload/name.ts";
import { answerTo, entityTag, isConditional } from "../upload/ranges.ts";
import { acceptedRun } from "../views/common.ts";
import { documentView } from "../views/documents.ts";

const uploadQuery = v.strictObject({ name: v.optional(v.string()), workflow: v.optional(v.string()) });

/** Within which an `Idempotency-Key` holds. */
const SCOPE = "documents";
/** How often a document that is made in the place of one that was deleted may be outrun by another. */
const TURNS = 5;

/** What a run gets, and a client sees, of a document. */
type DocumentView = Pick<BlobInfo, "id" | "name" | "type" | "size" | "sha256">;

/** Documents in, with a run of their own if wanted, and out. */
export function documentOperations(operations: Operations, gateway: Gateway): void {
  const { millrace, limits, log } = gateway;
  const { blobs } = millrace;

  operations.on(
    "post",
    "/v1/documents",
    {
      id: "uploadDocument",
      tag: "Documents",
      summary: "Upload a document, and start a run with it if wanted",
      description: "With `workflow` a run of it is started with `{document}` as its input.",
      scope: "documents:write",
      idempotent: "by-key",
      traced: true,
      query: uploadQuery,
      raw: {
        types: ["multipart/form-data", "*/*"],
        description: "The part `file` of a form, or the bytes themselves.",
      },
      answers: {
        201: { description: "The document is stored.", schema: documentView, headers: { Location: "The document." } },
        202: {
          description: "The document is stored and the run accepted.",
          schema: v.strictObject({ ...acceptedRun, document: documentView }),
          headers: { Location: "The run." },
        },
      },
      problems: [404, 409],
    },
    async ({ c, caller, tenant, query: { name, workflow }, key, trace, reply }) => {
      if (workflow !== undefined && !millrace.workflows.has(workflow)) throw new NotFoundError("workflow", workflow);

      if (workflow !== undefined) demand(caller, "runs:write");
      const incoming = await receive(c, limits, name);
      let blob: BlobInfo;
      try {
        const source = { tenant, name: incoming.name, type: incoming.type };
        blob = await blobs.put(source, incoming.content, { maxBytes: limits.uploadBytes });
      } finally {
        await incoming.close();
      }
      const document = viewOf(blob);
      if (workflow === undefined) {
        const kept = key === undefined ? document : await firstOf(tenant, key, document);
        return reply(201, kept, { Location: `/v1/documents/${kept.id}` });
      }

      const started = await startFor(gateway, caller, () => startWith(workflow, document, key, { tenant, ...trace }));
      if (started.created) return accepted(c, started, { document });
      await blobs.delete(tenant, document.id);
      const first = await millrace.runs.get(started.id, { tenant });
      return accepted(c, started, first.input as { document: DocumentView });
    },
  );

  /** The document that a key stands for: this one, if it is new, or the first one is gone. Of another, this one is deleted. */
  async function firstOf(tenant: string, key: string, document: DocumentView): Promise<DocumentView> {
    const digest = await digestOf(["", document.name, document.sha256]);
    const request = { tenant, scope: SCOPE, key, digest };
    try {
      let id = await millrace.requests.reserve(request, document.id);
      for (let i = 0; i < TURNS && id !== document.id; i += 1) {
        const first = await blobs.find(tenant, id);
        if (first !== undefined) {
          await blobs.delete(tenant, document.id);
          return viewOf(first);
        }
        id = await millrace.requests.reserve(request, document.id, id);
      }
      if (id === document.id) return document;
      throw new ConflictError("upload_busy", "Documents of this Idempotency-Key come and go. Ask again in a moment.");
    } catch (error) {
      await blobs.delete(tenant, document.id);
      throw error;
    }
  }

  async function startWith(
    workflow: string,
    document: DocumentView,
    key: string | undefined,
    options: StartOptions & { tenant: string },
  ): Promise<StartedRun> {
    const { tenant } = options;
    const same = await idempotency(key, SCOPE, [workflow, document.name, document.sha256]);
    try {
      return await millrace.runs.start(workflow, { document }, { ...options, ...same });
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

  operations.on(
    "get",
    "/v1/documents/{id}",
    {
      id: "getDocument",
      tag: "Documents",
      summary: "Download a document",
      description: "All of it, or one range. Its `ETag` is its SHA-256.",
      scope: "documents:read",
      headers: {
        Range: "One range of bytes, such as `bytes=0-99`; several are answered with all of it.",
        "If-Range": "The `ETag` with which the range counts.",
        "If-None-Match": "Entity tags with which 304 will do.",
      },
      answers: {
        200: { description: "Its bytes, as an attachment.", type: "*/*", headers: { ETag: "Its SHA-256, quoted." } },
        206: { description: "Some of them.", type: "*/*", headers: { "Content-Range": "Which, and of how many." } },
        304: { description: "The client has it." },
      },
      problems: [416],
    },
    async ({ c, tenant }) => {
      const id = idParam(c, "document");
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
    },
  );

  operations.on(
    "delete",
    "/v1/documents/{id}",
    {
      id: "deleteDocument",
      tag: "Documents",
      summary: "Delete a document",
      scope: "documents:write",
      answers: { 204: { description: "It is gone." } },
      problems: [409],
    },
    async ({ c, tenant }) => {
      const id = idParam(c, "document");
      const blob = await blobs.find(tenant, id);
      if (blob === undefined) throw new NotFoundError("document", id);
      if (blob.run !== undefined)
        throw new ConflictError("document_of_run", `It belongs to run ${blob.run}, and goes when that is deleted.`);
      await blobs.delete(tenant, id);
      return c.body(null, 204);
    },
  );
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
