import { type BlobInfo, readBlob, type StepContext } from "../../engine/index.ts";
import type { DocumentRef } from "./shapes.ts";

const CHUNK_CHARACTERS = 64 * 1024;

/** What a step may say of a stored blob. */
export function refOf({ id, name, type, size, sha256 }: BlobInfo): DocumentRef {
  return { id, name, type, size, sha256 };
}

/** Stores records as one JSON array, a piece at a time. Nothing is stored if making them throws. */
export async function storeRecords(
  ctx: StepContext,
  name: string,
  records: AsyncIterable<object>,
): Promise<DocumentRef> {
  return refOf(await ctx.blobs.put({ tenant: ctx.run.tenant, name, type: "application/json" }, jsonArray(records)));
}

async function* jsonArray(records: AsyncIterable<object>): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  let part = "[";
  let separator = "";
  for await (const record of records) {
    part += separator + JSON.stringify(record);
    separator = ",\n";
    if (part.length < CHUNK_CHARACTERS) continue;
    yield encoder.encode(part);
    part = "";
  }
  yield encoder.encode(`${part}]`);
}

/** The records that an earlier step has stored. @throws NotFoundError */
export async function readRecords<T>(ctx: StepContext, { id }: DocumentRef): Promise<T[]> {
  return JSON.parse(new TextDecoder().decode(await readBlob(ctx.blobs, ctx.run.tenant, id))) as T[];
}
