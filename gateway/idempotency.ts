import type { Context } from "hono";
import { hexDigest, type StartOptions } from "../engine/index.ts";
import type { Env } from "./context.ts";
import { ProblemError } from "./problem.ts";

/** What an `Idempotency-Key` may be. */
export const KEY_PATTERN = /^[\x20-\x7e]{1,255}$/;

/**
 * The request's `Idempotency-Key`; undefined without one.
 * (https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/)
 *
 * @throws ProblemError 400 for one that is not 1 to 255 printable ASCII characters
 */
export function idempotencyKey(c: Context<Env>): string | undefined {
  const key = c.req.header("idempotency-key");
  if (key === undefined || KEY_PATTERN.test(key)) return key;
  throw new ProblemError(400, "idempotency_key", "An Idempotency-Key is 1 to 255 printable ASCII characters.");
}

/**
 * What makes starting a run safe to repeat: the key holds within its route, and for one content.
 *
 * @param scope the route
 * @param sent everything that two calls with one key must agree on
 */
export async function idempotency(
  key: string | undefined,
  scope: string,
  sent: readonly (string | Uint8Array<ArrayBuffer>)[],
): Promise<Pick<StartOptions, "idempotency">> {
  if (key === undefined) return {};
  return { idempotency: { scope, key, digest: await digestOf(sent) } };
}

/** Of all that two calls with one key must agree on. */
export async function digestOf(sent: readonly (string | Uint8Array<ArrayBuffer>)[]): Promise<string> {
  const digests = await Promise.all(sent.map((each) => hexDigest("SHA-256", each)));
  return hexDigest("SHA-256", digests.join());
}
