import * as v from "valibot";
import { count, id, time } from "./common.ts";
import { documentView } from "./documents.ts";

/** How far an upload has come. */
export const uploadView = v.strictObject({
  id,
  status: v.picklist(["open", "complete"]),
  offset: count,
  length: v.optional(count),
  metadata: v.record(v.string(), v.string()),
  expiresAt: time,
  document: v.optional(documentView),
  run: v.optional(id),
});
