import { Hono } from "hono";
import * as v from "valibot";
import { ConflictError, type DirectUploads } from "../../engine/index.ts";
import { type Env, type Gateway, tenantOf } from "../context.ts";
import { idParam } from "../ids.ts";
import { readJson } from "../json.ts";
import { ProblemError } from "../problem.ts";
import { mediaType } from "../upload/media-type.ts";
import { cleanName } from "../upload/name.ts";

/** For how long an upload may be begun by its URL. */
const DEFAULT_EXPIRES_S = 900;
const MAX_EXPIRES_S = 86_400;

const uploadBody = v.strictObject({
  name: v.optional(v.string(), ""),
  size: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  expiresIn: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(MAX_EXPIRES_S))),
});

/** Documents that clients send to the blob store itself, by a URL that is given to them. */
export function presignedRoutes({ millrace, limits }: Gateway): Hono<Env> {
  const routes = new Hono<Env>();

  routes.post("/v1/documents/presigned", async (c) => {
    const { value } = await readJson(c, uploadBody, limits);
    const name = cleanName(value.name);
    if (value.size > limits.uploadBytes)
      throw new ProblemError(413, "blob_too_large", `A document has ${limits.uploadBytes} bytes at the most.`);
    const source = { tenant: tenantOf(c), name, size: value.size };
    const upload = await uploads().begin(source, (value.expiresIn ?? DEFAULT_EXPIRES_S) * 1_000);
    return c.json({ ...upload, complete: `/v1/documents/${upload.id}/complete` }, 201);
  });

  routes.post("/v1/documents/:id/complete", async (c) => {
    const known = idParam(c, "upload");
    const blob = await uploads().complete(tenantOf(c), known, (head, name) => mediaType(head, name, undefined));
    const { id, name, type, size, sha256 } = blob;
    return c.json({ id, name, type, size, sha256 }, 201, { Location: `/v1/documents/${id}` });
  });

  function uploads(): DirectUploads {
    const { direct } = millrace.blobs;
    if (direct !== undefined) return direct;
    throw new ConflictError("no_direct_uploads", "This blob store takes no direct uploads. Use POST /v1/documents.");
  }

  return routes;
}
