import {
  type BlobInfo,
  ConflictError,
  type HeldUpload,
  InvalidInputError,
  NotFoundError,
  type Traced,
  type UploadView,
} from "../../engine/index.ts";
import { type Caller, startFor } from "../access/caller.ts";
import type { Gateway } from "../context.ts";
import { idempotency } from "../idempotency.ts";
import { ProblemError } from "../problem.ts";
import { identify } from "../upload/incoming.ts";
import { cleanName } from "../upload/name.ts";
import { describedIn, parseMetadata } from "./metadata.ts";

/** For whom, and in which trace, an upload comes to its end. */
export interface Finishing {
  gateway: Gateway;
  caller: Caller;
  trace: Traced;
}

/**
 * Makes the document of an upload whose bytes are all there, and starts a run with it if its metadata say so. To be called
 * again after whatever came in between: it goes on from where it was, and no second run is started.
 *
 * @param held what holds it; or how it is, if it is complete
 * @throws ProblemError 415, 422 for a document that is refused, and what refuses the run: it is all gone then
 */
export async function finish(by: Finishing, held: HeldUpload | UploadView): Promise<UploadView> {
  const { millrace } = by.gateway;
  if (!("view" in held)) return withRun(by, held);
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
  return withRun(by, held.view);
}

async function withRun({ gateway, caller, trace }: Finishing, view: UploadView): Promise<UploadView> {
  const { millrace } = gateway;
  const { tenant, id, document, run, metadata } = view;
  const { workflow } = describedIn(parseMetadata(metadata));
  if (workflow === undefined || document === undefined || run !== undefined) return view;
  try {
    const same = await idempotency(id, "uploads", [workflow]);
    const options = { tenant, ...trace, ...same };
    const started = await startFor(gateway, caller, () => millrace.runs.start(workflow, { document }, options));
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
  if (error instanceof ProblemError) return error.status !== 429;
  return error instanceof InvalidInputError || error instanceof NotFoundError;
}
