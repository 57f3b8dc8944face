import { InvalidArgumentError, Option } from "commander";
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
