import { Option } from "commander";

/** The modules of definitions that a command knows. */
export function workflows(): Option {
  const add = (path: string, earlier: string[]) => [...earlier, path];
  return new Option("--workflows <module>", "a module that exports definitions; repeatable")
    .argParser(add)
    .default([], "the shipped ones");
}
