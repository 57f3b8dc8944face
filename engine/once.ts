import { hexDigest } from "./digest.ts";
import type { StartOptions } from "./millrace.ts";
import type { Store } from "./store.ts";

/**
 * The id of the run that a call is to make: `fresh`, or that of the first call with the same idempotency key.
 *
 * @throws ConflictError `idempotency_mismatch`
 */
export async function runIdOf(
  store: Store,
  tenant: string,
  fresh: string,
  idempotency: StartOptions["idempotency"],
): Promise<{ id: string; isRepeated: boolean }> {
  if (idempotency === undefined) return { id: fresh, isRepeated: false };
  const hash = await hexDigest("SHA-256", `${idempotency.scope}\n${idempotency.key}`);
  const id = await store.reserve(tenant, hash, idempotency.digest, fresh);
  return { id, isRepeated: id !== fresh };
}
