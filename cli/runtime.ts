import { fileURLToPath } from "node:url";

export type RuntimeName = "node" | "bun" | "deno";

/** What runs this process. */
export function runtimeName(): RuntimeName {
  if (process.versions.bun !== undefined) return "bun";
  return process.versions.deno === undefined ? "node" : "deno";
}

/** How this process would start another `millrace` under the same runtime. */
export function millraceCommand(args: readonly string[]): { path: string; args: string[] } {
  const main = fileURLToPath(new URL("./main.ts", import.meta.url));
  const flags = runtimeName() === "deno" ? ["run", "--quiet", "--allow-all"] : [];
  return { path: process.execPath, args: [...flags, main, ...args] };
}
