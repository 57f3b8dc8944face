import { Option } from "commander";

/** The modules of definitions that a command knows. @param otherwise what it knows where none is given, in words */
export function workflows(otherwise = "the shipped ones"): Option {
  const add = (path: string, earlier: string[]) => [...earlier, path];
  return new Option("--workflows <module>", "a module that exports definitions; repeatable")
    .argParser(add)
    .default([], otherwise);
}
