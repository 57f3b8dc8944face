import { configureSync, getConfig, getJsonLinesFormatter, type LogRecord } from "@logtape/logtape";
import { redacted } from "../redaction.ts";
import type { LogLevel } from "../settings.ts";

const format = getJsonLinesFormatter({ properties: "flatten" });

/** Sends what the parts of Millrace log to the console, an object a line and without secrets, unless the application does so. */
export function logToConsole(level: LogLevel): void {
  if (getConfig() !== null) return;
  configureSync({
    sinks: { console: write },
    loggers: [
      { category: "millrace", lowestLevel: level, sinks: ["console"] },
      { category: ["logtape", "meta"], lowestLevel: "warning", sinks: ["console"] },
    ],
  });
}

function write(record: LogRecord): void {
  const line = redacted(format(record)).trimEnd();
  if (record.level === "error" || record.level === "fatal") console.error(line);
  else if (record.level === "warning") console.warn(line);
  else console.log(line);
}
