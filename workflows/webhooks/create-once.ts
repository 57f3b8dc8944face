import { type Collection, ConflictError, type Kept } from "../../engine/index.ts";
import type { Secret } from "./secrets.ts";

/**
 * Stores a new record of something with a secret, or finds it, if it is there with that secret.
 *
 * @throws ConflictError `collection_full`, or `id_taken` if what is there is something else
 */
export async function createOnce(
  collection: Collection,
  id: string,
  record: { secrets: readonly Secret[] },
  options: { tenant: string; most: number },
): Promise<Kept> {
  try {
    return await collection.create(id, record, options);
  } catch (error) {
    if (!(error instanceof ConflictError && error.code === "id_taken")) throw error;
    const known = await collection.get(id, options);
    const has = (known?.value as { secrets: Secret[] } | undefined)?.secrets ?? [];
    if (known === undefined || !has.some(({ secret }) => secret === record.secrets[0]?.secret)) throw error;
    return known;
  }
}
