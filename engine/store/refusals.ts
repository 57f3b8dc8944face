import { ConflictError, MillraceError } from "../errors.ts";
import { Reply } from "../scripts/script.ts";

/**
 * @param what whose key it is
 * @throws MillraceError `wrong_type` if that is what the script said
 */
export function refuseWrongType(reply: unknown, what: string): void {
  if (reply === Reply.WrongType)
    throw new MillraceError("wrong_type", `A key of ${what} holds another type than Millrace keeps there.`);
}

/** Something else was sent with a key that was used before. */
export function idempotencyMismatch(): ConflictError {
  return new ConflictError("idempotency_mismatch", "This Idempotency-Key was used before with another request.");
}
