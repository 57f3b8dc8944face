import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { AnyWorkflow } from "../engine/index.ts";
import { UsageError } from "./errors.ts";

/**
 * The definitions that some modules export: by any name, as default, or in arrays.
 *
 * @param paths of the modules, from the working directory; none: the workflows that come with Millrace
 * @throws UsageError for a module that is absent, cannot be loaded or exports no definition
 */
export async function loadDefinitions(paths: readonly string[]): Promise<AnyWorkflow[]> {
  if (paths.length === 0) return (await import("../workflows/index.ts")).shipped;
  const found = await Promise.all(paths.map((path) => definitionsIn(path)));
  // A definition is often exported both by its name and in a list.
  return [...new Set(found.flat())];
}

async function definitionsIn(path: string): Promise<AnyWorkflow[]> {
  const file = resolve(path);
  if (!existsSync(file)) throw new UsageError(`There is no module ${path} (looked for ${file}).`);
  let module: Record<string, unknown>;
  try {
    module = (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError(`The module ${path} cannot be loaded: ${reason}`, { cause });
  }
  const definitions = Object.values(module)
    .flat()
    .filter((value) => isDefinition(value));
  if (definitions.length === 0)
    throw new UsageError(`The module ${path} exports no workflow. Export what workflow(…).step(…) returns.`);
  return definitions;
}

function isDefinition(value: unknown): value is AnyWorkflow {
  if (typeof value !== "object" || value === null) return false;
  const { name, version, steps, graph } = value as Partial<AnyWorkflow>;
  return typeof name === "string" && typeof version === "number" && Array.isArray(steps) && typeof graph === "object";
}
