import { type BlobStore, bodyOf, readBlob } from "./blobs/blob-store.ts";
import { FatalError, InvalidInputError, NotFoundError } from "./errors.ts";

/** Values whose JSON is longer than this, in characters, live in the blob store. */
export const INLINE_LIMIT = 32_768;

/** Values whose JSON is longer than this, in characters, are read from the run instead of travelling in an entry. */
const ENTRY_LIMIT = 2_048;

/** No JSON begins with it, so it marks a value that is in the blob store. */
const BLOB_MARK = "@";
/** Nor with it: it marks the results of a map, which stay where its items have put them. */
const ITEMS_MARK = "#";

/** Whether a value is the results of a map, spread over its items. */
export function isSpread(stored: string): boolean {
  return stored.startsWith(ITEMS_MARK);
}

/** A value as JSON; `undefined` is null. @throws FatalError `not_json` for what JSON cannot hold */
export function encodeValue(value: unknown): string {
  try {
    return JSON.stringify(value) ?? "null";
  } catch (cause) {
    throw new FatalError("The output cannot be written as JSON.", { code: "not_json", cause });
  }
}

/** As `encodeValue`, for what a caller hands in. @throws InvalidInputError */
export function encodeInput(value: unknown, what: string): string {
  try {
    return encodeValue(value);
  } catch {
    const issue = { path: [], message: "Expected a value that JSON can hold" };
    throw new InvalidInputError(`The ${what} cannot be written as JSON.`, [issue]);
  }
}

/** What Redis holds for a value: its JSON, at once, or where that is. */
export function storeValue(blobs: BlobStore, tenant: string, name: string, json: string): string | Promise<string> {
  return json.length <= INLINE_LIMIT ? json : storeBlob(blobs, tenant, name, json);
}

async function storeBlob(blobs: BlobStore, tenant: string, name: string, json: string): Promise<string> {
  const blob = await blobs.put({ tenant, name: `${name}.json`, type: "application/json" }, bodyOf(json));
  return BLOB_MARK + blob.id;
}

/** The value again. @throws FatalError `value_lost` if its blob is gone */
export async function loadValue(blobs: BlobStore, tenant: string, stored: string): Promise<unknown> {
  const id = blobOf(stored);
  if (id === undefined) return JSON.parse(stored);
  try {
    return JSON.parse(new TextDecoder().decode(await readBlob(blobs, tenant, id)));
  } catch (cause) {
    if (!(cause instanceof NotFoundError)) throw cause;
    throw new FatalError(`The value in blob ${id} is gone.`, { code: "value_lost", cause });
  }
}

/** The id of the blob that a stored value is in; undefined if it is none. */
export function blobOf(stored: string): string | undefined {
  return stored.startsWith(BLOB_MARK) ? stored.slice(BLOB_MARK.length) : undefined;
}

/** The value as an entry carries it; empty if the worker must read it from the run. */
export function entryInput(stored: string): string {
  return stored.length <= ENTRY_LIMIT && blobOf(stored) === undefined && !isSpread(stored) ? stored : "";
}
