import * as v from "valibot";
import { SCOPES } from "../../engine/index.ts";
import { count, id, time } from "./common.ts";

const key = {
  id,
  tenant: id,
  name: v.string(),
  status: v.picklist(["active", "expired", "revoked"]),
  scopes: v.array(v.picklist(SCOPES)),
  createdAt: time,
  expiresAt: v.optional(time),
  rotatedAt: v.optional(time),
  previousUntil: v.optional(time),
  revokedAt: v.optional(time),
  lastUsedAt: v.optional(time),
  rateLimit: v.optional(v.strictObject({ requests: count, windowMs: count })),
  quota: v.optional(v.strictObject({ runsPerDay: v.optional(count) })),
};

/** An API key, without its secret. */
export const keyView = v.strictObject(key);
/** An API key with its new secret. */
export const keyWithSecret = v.strictObject({ ...key, secret: v.string() });

/** Who asks: whose everything is that they make, and what they may do. */
export const callerView = v.strictObject({ tenant: id, scopes: v.array(v.picklist(SCOPES)) });

export const issuedTicket = v.strictObject({ ticket: v.string(), expiresAt: time });
