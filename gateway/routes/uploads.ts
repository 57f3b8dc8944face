import { type HeldUpload, NotFoundError, type UploadView } from "../../engine/index.ts";
import { demand } from "../access/caller.ts";
import type { Answers } from "../api/declaration.ts";
import type { Asked, Operations } from "../api/operations.ts";
import { readBody } from "../body.ts";
import type { Gateway } from "../context.ts";
import { idParam } from "../ids.ts";
import { ProblemError, problemOf } from "../problem.ts";
import { cleanName } from "../upload/name.ts";
import { checksumOf } from "../uploads/checksum.ts";
import { finish } from "../uploads/finish.ts";
import { checkLength, checkOffsetType, givenBytes, lengthOf, neededBytes } from "../uploads/headers.ts";
import { describedIn, parseMetadata } from "../uploads/metadata.ts";
import { OFFSET_TYPE, TUS_ALGORITHMS, TUS_EXTENSIONS, TUS_VERSION } from "../uploads/protocol.ts";
import { uploadView } from "../views/uploads.ts";

const VERSION = { "Tus-Resumable": `The version of the protocol, ${TUS_VERSION}.` };
const CHECKSUM = { "Upload-Checksum": "`sha1` or `sha256`, a space and the digest of the body in Base64." };
const AT = { "Upload-Offset": "How many bytes are stored.", "Upload-Expires": "When it goes, if no more comes." };
const COME_TO = {
  "Millrace-Document": "The document, once it is complete.",
  "Millrace-Run": "The run with it, if any.",
};
const BYTES = { types: [OFFSET_TYPE], description: "The bytes from its offset on." };

/** Documents that come in parts, and go on after a lost connection: the tus protocol 1.0. */
export function uploadOperations(operations: Operations, gateway: Gateway): void {
  const { millrace, limits } = gateway;
  const { uploads } = millrace;
  const keptMs = limits.uploadExpiresMs;

  operations.on(
    "options",
    "/v1/uploads",
    {
      id: "describeUploads",
      tag: "Documents",
      summary: "What of the tus protocol is spoken",
      scope: "public",
      answers: {
        204: {
          description: "It is in the header.",
          headers: { "Tus-Version": "Versions.", "Tus-Extension": "Extensions.", "Tus-Max-Size": "In bytes." },
        },
      },
    },
    ({ c }) =>
      c.body(null, 204, {
        "Tus-Version": TUS_VERSION,
        "Tus-Extension": TUS_EXTENSIONS,
        "Tus-Max-Size": String(limits.uploadBytes),
        "Tus-Checksum-Algorithm": TUS_ALGORITHMS,
      }),
  );

  operations.on(
    "post",
    "/v1/uploads",
    {
      id: "createUpload",
      tag: "Documents",
      summary: "Begin an upload that can go on after a lost connection (tus)",
      description:
        "Either `Upload-Length` or `Upload-Defer-Length` is to be given. With `workflow` in its metadata, a run of it is started with `{document}` once all has come.",
      scope: "documents:write",
      idempotent: "by-key",
      traced: true,
      raw: { types: [OFFSET_TYPE], description: "The first bytes." },
      bodyOptional: true,
      headers: {
        ...VERSION,
        ...CHECKSUM,
        "Upload-Length": "How many bytes there will be.",
        "Upload-Defer-Length": "1, if that is said later.",
        "Upload-Metadata": "`filename`, `filetype`, `workflow` and others: each with its value in Base64.",
      },
      answers: {
        201: { description: "It can go on.", headers: { Location: "Where.", ...AT, ...COME_TO } },
      },
      problems: [400, 404, 408, 409, 412, 413, 415, 422, 423, 429, 460],
    },
    async (asked) => {
      const { c, caller, tenant, key } = asked;
      const length = lengthOf(c, limits.uploadBytes);
      const metadata = c.req.header("upload-metadata") ?? "";
      const { name, workflow } = describedIn(parseMetadata(metadata));
      cleanName(name);
      if (workflow !== undefined) {
        demand(caller, "runs:write");
        if (!millrace.workflows.has(workflow)) throw new NotFoundError("workflow", workflow);
      }
      const hasBytes = ["content-type", "transfer-encoding"].some((name) => c.req.header(name) !== undefined);
      if (hasBytes) checkOffsetType(c);
      const created = await uploads.create({ tenant, length, metadata, keptMs, most: limits.openUploads, key });
      let { view } = created;
      const headers = { Location: `/v1/uploads/${view.id}` };
      if (hasBytes && created.created) {
        try {
          view = await append(asked, await uploads.hold(tenant, view.id, { offset: 0, keptMs }));
        } catch (error) {
          // Where it can go on.
          const { status, code, message, errors, headers: more } = problemOf(error);
          throw new ProblemError(status, code, message, { errors, headers: { ...more, ...headers }, cause: error });
        }
      }
      return c.body(null, 201, { ...headersOf(view), ...headers });
    },
  );

  operations.on(
    "head",
    "/v1/uploads/{id}",
    {
      id: "resumeUpload",
      tag: "Documents",
      summary: "Where an upload is to go on",
      description: "A request that still sends bytes to it is ended first.",
      scope: "documents:write",
      traced: true,
      headers: VERSION,
      answers: { 200: { description: "It is in the header.", headers: { ...AT, ...COME_TO } } },
      problems: [409, 410, 412, 415, 422, 423],
    },
    async (asked) => {
      const { c, tenant } = asked;
      const view = await uploads
        .hold(tenant, idParam(c, "upload"), { keptMs })
        .then((held) => done(asked, held))
        .catch(lockedForNow);
      return c.body(null, 200, { ...headersOf(view), "Cache-Control": "no-store" });
    },
  );

  operations.on(
    "get",
    "/v1/uploads/{id}",
    {
      id: "getUpload",
      tag: "Documents",
      summary: "See how far an upload has come",
      scope: "documents:write",
      answers: { 200: { description: "The upload.", schema: uploadView } },
      problems: [410],
    },
    async ({ c, tenant, reply }) => {
      const { tenant: _, metadata, expiresAt, length, ...view } = await uploads.get(tenant, idParam(c, "upload"));
      return reply(200, {
        ...view,
        ...(length === undefined ? {} : { length }),
        metadata: Object.fromEntries(parseMetadata(metadata)),
        expiresAt: new Date(expiresAt).toISOString(),
      });
    },
  );

  operations.on(
    "patch",
    "/v1/uploads/{id}",
    {
      id: "continueUpload",
      tag: "Documents",
      summary: "Go on with an upload",
      description: "What came before a connection was lost counts, unless it has a checksum.",
      scope: "documents:write",
      traced: true,
      raw: BYTES,
      headers: { ...VERSION, ...CHECKSUM, "Upload-Offset": "Where it is.", "Upload-Length": "If it was deferred." },
      answers: { 204: { description: "They are stored.", headers: { Location: "The document.", ...AT, ...COME_TO } } },
      problems: [400, 404, 408, 409, 410, 412, 413, 415, 422, 423, 460],
    },
    async (asked) => {
      const { c, tenant } = asked;
      checkOffsetType(c);
      const offset = neededBytes(c, "Upload-Offset");
      const length = givenBytes(c, "Upload-Length");
      if (length !== undefined) {
        checkLength(length, limits.uploadBytes);
        if (length < offset) throw new ProblemError(400, "tus_header", "Upload-Length is less than Upload-Offset.");
      }
      const view = await append(asked, await uploads.hold(tenant, idParam(c, "upload"), { offset, length, keptMs }));
      return c.body(null, 204, headersOf(view));
    },
  );

  operations.on(
    "delete",
    "/v1/uploads/{id}",
    {
      id: "deleteUpload",
      tag: "Documents",
      summary: "End an upload, and delete what has come of it",
      description: "A document that was made of it stays.",
      scope: "documents:write",
      headers: VERSION,
      answers: { 204: { description: "It is gone." } },
      problems: [410, 412],
    },
    async ({ c, tenant }) => {
      await uploads.delete(tenant, idParam(c, "upload"));
      return c.body(null, 204);
    },
  );

  /** Takes what a request brings, and makes the document if that was all. */
  async function append(asked: Request, held: HeldUpload | UploadView): Promise<UploadView> {
    const { c } = asked;
    const { offset, length = limits.uploadBytes } = viewIn(held);
    try {
      const checksum = await checksumOf(c.req.header("upload-checksum"));
      const signal = "signal" in held ? held.signal : undefined;
      const body = readBody(c.req.raw, { maxBytes: length - offset, idleMs: limits.bodyIdleMs, signal });
      if ("append" in held) await held.append(checksum?.over(body) ?? body, checksum?.holds);
      else for await (const _ of body);
    } catch (error) {
      if ("release" in held) await held.release();
      throw error;
    }
    return done(asked, held);
  }

  async function done({ caller, trace }: Request, held: HeldUpload | UploadView): Promise<UploadView> {
    try {
      const view = viewIn(held);
      return view.offset === view.length ? await finish({ gateway, caller, trace }, held) : view;
    } finally {
      if ("release" in held) await held.release();
    }
  }
}

type Request = Pick<Asked<unknown, unknown, Answers>, "c" | "caller" | "trace">;

function viewIn(held: HeldUpload | UploadView): UploadView {
  return "view" in held ? held.view : held;
}

function headersOf(view: UploadView): Record<string, string> {
  const { offset, length, metadata, status, expiresAt, document, run } = view;
  return {
    "Upload-Offset": String(offset),
    ...(length === undefined ? { "Upload-Defer-Length": "1" } : { "Upload-Length": String(length) }),
    ...(metadata === "" ? {} : { "Upload-Metadata": metadata }),
    ...(status === "open" ? { "Upload-Expires": new Date(expiresAt).toUTCString() } : {}),
    ...(document === undefined ? {} : { Location: `/v1/documents/${document.id}`, "Millrace-Document": document.id }),
    ...(run === undefined ? {} : { "Millrace-Run": run }),
  };
}

/** To clients of the protocol any other refusal means that the upload is lost, and that they have to begin anew. */
function lockedForNow(error: unknown): never {
  const { status, message, headers } = problemOf(error);
  if (status < 500 && status !== 429) throw error;
  throw new ProblemError(423, "upload_busy", message, { headers, cause: error });
}
