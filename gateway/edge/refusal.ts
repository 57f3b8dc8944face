import { getLogger } from "@logtape/logtape";
import { MillraceError, UnavailableError } from "../../engine/index.ts";
import { bareResponse, ProblemError, problemOf } from "../problem.ts";
import { SettingError } from "../settings.ts";

const log = getLogger(["millrace", "gateway"]);

/** Of these the message is about a binding, and repeats no secret. */
const OF_SETTINGS = new Set(["bad_redis_url", "bad_blobs_url", "bad_option", "model_server"]);

/** What is answered while there is no gateway: a binding that cannot be is named, and all else is in the log. */
export function refusal(error: unknown): Response {
  log.error("the gateway does not start: {error}", { error });
  return bareResponse(problem(error));
}

function problem(error: unknown): ProblemError {
  if (error instanceof UnavailableError) return problemOf(error);
  const isSetting = error instanceof SettingError || (error instanceof MillraceError && OF_SETTINGS.has(error.code));
  if (isSetting) return new ProblemError(500, "misconfigured", error.message, { cause: error });
  return new ProblemError(500, "not_started", "The gateway does not start. Its log says why.", { cause: error });
}
