import * as v from "valibot";
import { after } from "../schemas.ts";
import { problem } from "../views/common.ts";

/** What a client says over a `/v1/live` socket. */
export const clientMessage = v.variant("type", [
  v.strictObject({
    type: v.literal("subscribe"),
    run: v.string(),
    after: v.optional(v.union([v.pipe(v.number(), v.integer(), v.minValue(0), v.transform(String)), after])),
  }),
  v.strictObject({ type: v.literal("unsubscribe"), run: v.string() }),
]);

/** What a socket says beside events and resets. */
export const serverMessage = v.strictObject({ type: v.literal("error"), problem });
