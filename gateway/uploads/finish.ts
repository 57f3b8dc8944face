import {
  type BlobInfo,
  ConflictError,
  type HeldUpload,
  InvalidInputError,
  type Millrace,
  NotFoundError,
  type UploadView,
} from "../../engine/index.ts";
import { idempotency } from "../idempotency.ts";
import { ProblemError } from "../problem.ts";
import { identify } from "../upload/incoming.ts";
import { cleanName } from "../upload/name.ts";
import { describedIn, parseMetadata } from "./metadata.ts";

/**
 * Makes the document of an upload whose bytes are all there, and starts a run with it if its metadata say so. To be called
 * again after whatever came in between: it goes on from where it was, and no second run is started.
 *
 * @param held what holds it; or how it is, if it is complete
 * @throws ProblemError 415, 422 for a document that is refused, and what refuses the run: it is all gone then
 */
export async function finish(millrace: Millrace, held: HeldUpload | UploadView): Promise<UploadView> {
  if (!("view" in held)) return withRun(millrace, held);
  const { tenant, id, metadata } = held.view;
  const content = held.content();
  let blob: BlobInfo;
  try {
    const { name, type } = describedIn(parseMetadata(metadata));
    const incoming = await identify(content, cleanName(name), type);
    blob = await millrace.blobs.put({ tenant, name: incoming.name, type: incoming.type }, incoming.content);
  } catch (error) {
    if (isFinal(error)) await millrace.uploads.delete(tenant, id);
    throw error;
  } finally {
    await content.return(undefined);
  }
  const { name, type, size, sha256 } = blob;
  try {
    await held.complete({ id: blob.id, name, type, size, sha256 });
  } catch (error) {
    // Where Redis did not answer it may be stored.
    if (error instanceof ConflictError) await millrace.blobs.delete(tenant, blob.id);
    throw error;
  }
  return withRun(millrace, held.view);
}

async function withRun(millrace: Millrace, view: UploadView): Promise<UploadView> {
  const { tenant, id, document, run, metadata } = view;
  const { workflow } = describedIn(parseMetadata(metadata));
  if (workflow === undefined || document === undefined || run !== undefined) return view;
  try {
    const same = await idempotency(id, "uploads", [workflow]);
    const started = await millrace.runs.start(workflow, { document }, { tenant, ...same });
    await millrace.uploads.noteRun(tenant, id, started.id);
    return { ...view, run: started.id };
  } catch (error) {
    if (isFinal(error)) {
      await millrace.uploads.delete(tenant, id);
      await millrace.blobs.delete(tenant, document.id);
    }
    throw error;
  }
}

/** Whether trying again cannot help. */
function isFinal(error: unknown): boolean {
  if (error instanceof ConflictError) return error.code === "upload_gone";
  return error instanceof ProblemError || error instanceof InvalidInputError || error instanceof NotFoundError;
}
