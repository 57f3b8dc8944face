import * as v from "valibot";
import { NAME_PATTERN } from "../../engine/index.ts";
import { keyOf, type Secret } from "../../workflows/webhooks/secrets.ts";
import type { KeyLimits } from "../access/key-limits.ts";

const headerName = v.pipe(v.string(), v.regex(/^[A-Za-z0-9-]{1,100}$/, "A name of a header field."));
const name = v.pipe(v.string(), v.regex(NAME_PATTERN, "1 to 48 of A-Z a-z 0-9 _ -"));
/** Names of fields, from the body on: `data.object.id`. */
const path = v.pipe(v.string(), v.regex(/^[^.\p{Cc}]{1,100}(\.[^.\p{Cc}]{1,100}){0,9}$/u, "Such as data.object.id."));

const action = v.union(
  [
    v.strictObject({ start: name, headers: v.optional(v.pipe(v.array(headerName), v.maxLength(20))) }),
    v.strictObject({ signal: name, runFrom: path }),
  ],
  "Expected {start, headers?} or {signal, runFrom}.",
);

const settings = {
  action,
  description: v.optional(v.pipe(v.string(), v.maxLength(500))),
  disabled: v.optional(v.boolean()),
};

/** Makes keys that are guessed at random not worth a try. */
const MIN_SECRET = 16;
const hmacSecret = v.pipe(v.string(), v.minLength(MIN_SECRET, "At least 16 characters."), v.maxLength(256));
const standardSecret = v.pipe(
  v.string(),
  v.maxLength(256),
  v.check((text) => (keyOf(text)?.byteLength ?? 0) >= MIN_SECRET, "whsec_ and at least 16 bytes in base64."),
);

/** What an inbound hook is made from. */
export const inboundBody = v.variant("scheme", [
  v.strictObject({
    scheme: v.literal("standard-webhooks"),
    secret: v.optional(standardSecret),
    ...settings,
  }),
  v.strictObject({
    scheme: v.literal("hmac-sha256"),
    secret: v.optional(hmacSecret),
    signature: v.strictObject({
      header: headerName,
      prefix: v.optional(v.pipe(v.string(), v.maxLength(50))),
      encoding: v.optional(v.picklist(["hex", "base64"])),
      timestamped: v.optional(v.boolean()),
    }),
    messageId: v.optional(v.union([v.strictObject({ header: headerName }), v.strictObject({ path })])),
    ...settings,
  }),
]);

/** What of it may be changed. */
export const inboundChange = v.strictObject({
  action: v.optional(action),
  description: v.optional(v.nullable(v.pipe(v.string(), v.maxLength(500)))),
  disabled: v.optional(v.boolean()),
});

export const secretOf = { "standard-webhooks": standardSecret, "hmac-sha256": hmacSecret };

type Sent = v.InferOutput<typeof inboundBody>;
type WithoutSecret<T> = T extends unknown ? Omit<T, "secret"> : never;

/** An inbound hook as it is kept. */
export type InboundRecord = WithoutSecret<Sent> & {
  secrets: Secret[];
  createdAt: string;
  updatedAt: string;
  /** Of the key by which it was made or last changed, if there are any: what comes in counts as that key's. */
  limits?: KeyLimits | undefined;
};
export type InboundHook = InboundRecord & { id: string; tenant: string };

/** What stands at a path in a body; undefined if nothing does. */
export function at(body: unknown, path: string): unknown {
  let value = body;
  for (const name of path.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}
