import * as v from "valibot";
import { count, id } from "./common.ts";

/** A document as clients and handlers see it. */
export const documentView = v.strictObject({
  id,
  name: v.string(),
  type: v.string(),
  size: count,
  sha256: v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/)),
});
