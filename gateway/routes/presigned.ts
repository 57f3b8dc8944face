import * as v from "valibot";
import { ConflictError, type DirectUploads } from "../../engine/index.ts";
import type { Operations } from "../api/operations.ts";
import type { Gateway } from "../context.ts";
import { idParam } from "../ids.ts";
import { ProblemError } from "../problem.ts";
import { mediaType } from "../upload/media-type.ts";
import { cleanName } from "../upload/name.ts";
import { id, time } from "../views/common.ts";
import { documentView } from "../views/documents.ts";

/** For how long an upload may be begun by its URL. */
const DEFAULT_EXPIRES_S = 900;
const MAX_EXPIRES_S = 86_400;

const uploadBody = v.strictObject({
  name: v.optional(v.string(), ""),
  size: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  expiresIn: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(MAX_EXPIRES_S))),
});
const uploadView = v.strictObject({
  id,
  url: v.string(),
  method: v.literal("PUT"),
  headers: v.record(v.string(), v.string()),
  expiresAt: time,
  complete: v.string(),
});

/** Documents that clients send to the blob store itself, by a URL that is given to them. */
export function presignedOperations(operations: Operations, { millrace, limits }: Gateway): void {
  operations
    .on(
      "post",
      "/v1/documents/presigned",
      {
        id: "presignDocument",
        tag: "Documents",
        summary: "Be told where to send a document past the gateway",
        description: "`size` in bytes, `expiresIn` in seconds. What was sent becomes a document when it is completed.",
        scope: "documents:write",
        idempotent: "by-reply",
        body: uploadBody,
        answers: { 201: { description: "What to send, and where.", schema: uploadView } },
        problems: [409, 413],
      },
      async ({ tenant, body: { name, size, expiresIn = DEFAULT_EXPIRES_S }, draw, reply }) => {
        const source = { tenant, name: cleanName(name), size };
        if (size > limits.uploadBytes)
          throw new ProblemError(413, "blob_too_large", `A document has ${limits.uploadBytes} bytes at the most.`);
        const upload = await uploads().begin(source, expiresIn * 1_000, draw?.id);
        return reply(201, { ...upload, complete: `/v1/documents/${upload.id}/complete` });
      },
    )
    .on(
      "post",
      "/v1/documents/{id}/complete",
      {
        id: "completeDocument",
        tag: "Documents",
        summary: "Make a document of what was sent past the gateway",
        description: "It is read once. Repeated, the answer is the same.",
        scope: "documents:write",
        idempotent: "always",
        answers: {
          201: { description: "The document is stored.", schema: documentView, headers: { Location: "The document." } },
        },
        problems: [404, 409, 413, 415, 422],
      },
      async ({ c, tenant, reply }) => {
        const upload = idParam(c, "upload");
        const blob = await uploads().complete(tenant, upload, (head, name) => mediaType(head, name, undefined));
        const { id, name, type, size, sha256 } = blob;
        return reply(201, { id, name, type, size, sha256 }, { Location: `/v1/documents/${id}` });
      },
    );

  function uploads(): DirectUploads {
    const { direct } = millrace.blobs;
    if (direct !== undefined) return direct;
    throw new ConflictError("no_direct_uploads", "This blob store takes no direct uploads. Use POST /v1/documents.");
  }
}
