import { configure, getAnsiColorFormatter, getJsonLinesFormatter, getTextFormatter } from "@logtape/logtape";
import { redacted } from "../gateway/redaction.ts";
import type { LogLevel } from "../gateway/settings.ts";
import type { LogFormat } from "./settings.ts";

/**
 * Sends what the parts of Millrace log to standard error, without secrets, which leaves standard output to the command's own
 * words.
 *
 * @param as `json`: each line is an object with `@timestamp`, `level`, `logger`, `message` and what belongs to it
 */
export async function configureLogging(level: LogLevel, as: LogFormat): Promise<void> {
  const format = formatter(as);
  await configure({
    sinks: { stderr: (record) => void process.stderr.write(redacted(format(record))) },
    loggers: [
      { category: "millrace", lowestLevel: level, sinks: ["stderr"] },
      { category: ["logtape", "meta"], lowestLevel: "warning", sinks: ["stderr"] },
    ],
  });
}

function formatter(as: LogFormat) {
  if (as === "json") return getJsonLinesFormatter({ properties: "flatten" });
  return process.stderr.isTTY ? getAnsiColorFormatter() : getTextFormatter();
}
