import { type ConfigApi, connect } from "../engine/index.ts";
import { CommandError, UsageError } from "./errors.ts";
import { requireRedis, type Settings } from "./settings.ts";

/** What to do with which key; `list` takes the beginning of keys. */
export type ConfigCommand =
  | { action: "get" | "delete"; key: string }
  | { action: "list"; prefix?: string }
  | { action: "set"; key: string; value: string };

/**
 * `millrace config`: reads and changes what every process is told.
 *
 * @throws UsageError for a value that is not JSON; CommandError for a key that is not there; and what `connect` throws
 */
export async function runConfig(command: ConfigCommand, settings: Settings): Promise<void> {
  const url = requireRedis(settings);
  const value = command.action === "set" ? parseValue(command.value) : undefined;
  const millrace = await connect({ url, namespace: settings.namespace, workflows: [] });
  try {
    await millrace.config.ready();
    await carryOut(millrace.config, command, value);
  } finally {
    await millrace.close();
  }
}

async function carryOut(config: ConfigApi, command: ConfigCommand, value: unknown): Promise<void> {
  if (command.action === "list") {
    const { prefix = "" } = command;
    for (const key of [...config.all().keys()].sort())
      if (key.startsWith(prefix)) console.log(`${key} ${JSON.stringify(config.get(key))}`);
  } else if (command.action === "set") await config.set(command.key, value);
  else if (command.action === "get") {
    if (!config.all().has(command.key)) throw missing(command.key);
    console.log(JSON.stringify(config.get(command.key)));
  } else if (!(await config.delete(command.key))) throw missing(command.key);
}

function missing(key: string): CommandError {
  return new CommandError(`There is no key ${JSON.stringify(key)} in the configuration.`);
}

function parseValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UsageError(`The value must be JSON, and a text in double quotes: '"like this"'. It was: ${text}`);
  }
}
