import { MillraceError, UnavailableError } from "../errors.ts";

const REPLIES =
  /^(UNBLOCKED|MOVED|ASK|TRYAGAIN|CLUSTERDOWN|READONLY|LOADING|NOGROUP|BUSY|MASTERDOWN|NOREPLICAS|MISCONF|OOM|NOAUTH|WRONGPASS|NOPERM|NOSCRIPT|WRONGTYPE)\b/;

/**
 * What an error of a call is counted as: the first word of an error reply, if that is a known one; `timeout` of what did not
 * answer in time; `socket` of what the connection failed with; else `other`.
 */
export function errorClass(error: unknown): string {
  const cause = error instanceof MillraceError ? (error.cause ?? error) : error;
  if (!(cause instanceof Error)) return "other";
  if (cause.name === "ReplyError") return REPLIES.exec(cause.message)?.[1] ?? "other";
  if (cause instanceof UnavailableError || cause.message === "Command timed out") return "timeout";
  return error instanceof UnavailableError ? "socket" : "other";
}
