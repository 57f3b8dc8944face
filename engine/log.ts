import { getLogger, type Logger } from "@logtape/logtape";

/** The engine's logger for one of its parts. Silent until the application configures LogTape. */
export function logger(part: string): Logger {
  return getLogger(["millrace", part]);
}
