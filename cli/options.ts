import { type Command, InvalidArgumentError, Option } from "commander";
import type { PageOptions } from "../engine/index.ts";
import { UsageError } from "./errors.ts";
import { parseWhole } from "./settings.ts";

/** The modules of definitions that a command knows. @param otherwise what it knows where none is given, in words */
export function workflows(otherwise = "the shipped ones"): Option {
  const add = (path: string, earlier: string[]) => [...earlier, path];
  return new Option("--workflows <module>", "a module that exports definitions; repeatable")
    .argParser(add)
    .default([], otherwise);
}

/** An option that takes a whole number. */
export function whole(flags: string, description: string, min: number, max: number): Option {
  return new Option(flags, description).argParser(checked((name, text) => parseWhole(name, text, min, max)));
}

/** An option or argument that takes JSON. */
export function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidArgumentError(`It takes JSON: ${(error as Error).message}.`);
  }
}

/** Of a list that comes by pages, as the command line has them. */
export interface PageCommand {
  limit: number;
  cursor?: string;
}

export function paged(command: Command): Command {
  return command
    .addOption(whole("--limit <n>", "how many, 1 to 100", 1, 100).default(20))
    .option("--cursor <cursor>", "go on where an earlier list ended");
}

export function pageOf({ limit, cursor }: PageCommand): PageOptions {
  return { limit, ...(cursor === undefined ? {} : { cursor }) };
}

/** Commander names the option and the value; the reason comes from the parser. */
export function checked(parse: (name: string, text: string) => number): (text: string) => number {
  return (text) => {
    try {
      return parse("It", text);
    } catch (error) {
      if (error instanceof UsageError) throw new InvalidArgumentError(error.message);
      throw error;
    }
  };
}
