import { type ConfigApi, NotFoundError } from "../engine/index.ts";
import { UsageError } from "./errors.ts";
import { connected } from "./operator.ts";
import type { Printer } from "./printer.ts";
import type { Settings } from "./settings.ts";

/** What to do with which key; `list` takes the beginning of keys. */
export type ConfigCommand =
  | { action: "get" | "delete"; key: string }
  | { action: "list"; prefix?: string }
  | { action: "set"; key: string; value: string };

/**
 * `millrace config`: reads and changes what every process is told.
 *
 * @throws UsageError for a value that is not JSON; NotFoundError; and what `connect` throws
 */
export async function runConfig(command: ConfigCommand, settings: Settings, out: Printer): Promise<void> {
  const value = command.action === "set" ? parseValue(command.value) : undefined;
  await connected(settings, async ({ config }) => {
    await config.ready();
    await carryOut(config, command, value, out);
  });
}

async function carryOut(config: ConfigApi, command: ConfigCommand, value: unknown, out: Printer): Promise<void> {
  if (command.action === "list") {
    const { prefix = "" } = command;
    const keys = [...config.all().keys()].filter((key) => key.startsWith(prefix)).sort();
    const data = keys.map((key) => ({ key, value: config.get(key) }));
    return out.list({ data }, [
      { name: "key", of: ({ key }) => key },
      { name: "value", of: ({ value }) => JSON.stringify(value) },
    ]);
  }
  const { key } = command;
  if (command.action === "set") {
    await config.set(key, value);
    return out.result({ key, value });
  }
  const isThere = command.action === "get" ? config.all().has(key) : await config.delete(key);
  if (!isThere) throw new NotFoundError("configuration key", key);
  if (command.action === "get") out.result({ key, value: config.get(key) }, JSON.stringify(config.get(key)));
  else out.result({ key, deleted: true });
}

function parseValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UsageError(`The value must be JSON, and a text in double quotes: '"like this"'. It was: ${text}`);
  }
}
