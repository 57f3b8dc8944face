import { configure, getAnsiColorFormatter, getTextFormatter } from "@logtape/logtape";
import type { LogLevel } from "./settings.ts";

/** Sends what the parts of Millrace log to standard error, which leaves standard output to the command's own words. */
export async function configureLogging(level: LogLevel): Promise<void> {
  const format = process.stderr.isTTY ? getAnsiColorFormatter() : getTextFormatter();
  await configure({
    sinks: { stderr: (record) => void process.stderr.write(format(record)) },
    loggers: [
      { category: "millrace", lowestLevel: level, sinks: ["stderr"] },
      { category: ["logtape", "meta"], lowestLevel: "warning", sinks: ["stderr"] },
    ],
  });
}
