import { readdir, readFile } from "node:fs/promises";
import { posix } from "node:path";
import { parseAst } from "vitest/node";
import { ROOT } from "./run.ts";

/** What the rules about a file look at. */
export interface SourceFile {
  /** From the checkout's root, with `/`. */
  path: string;
  lines: number;
  imports: Import[];
  /** The runtimes' own globals that it names. */
  globals: string[];
}

export interface Import {
  /** A path like `SourceFile.path` for a file of the project, else the specifier as it stands. */
  target: string;
  typeOnly: boolean;
}

const FOLDERS = ["bin", "cli", "engine", "gateway", "tests", "workflows"];
const SOURCE = /\.(ts|tsx|mjs|js|lua)$/;
const GLOBALS = ["process", "Bun", "Deno"];

/** Every source file of the project: path and text. */
export async function readTree(): Promise<Map<string, string>> {
  const tree = new Map<string, string>();
  for (const folder of FOLDERS) {
    for (const entry of await readdir(`${ROOT}${folder}`, { recursive: true, withFileTypes: true }).catch(absent)) {
      if (!entry.isFile() || !SOURCE.test(entry.name)) continue;
      const path = posix.join(entry.parentPath, entry.name).slice(ROOT.length);
      tree.set(path, await readFile(`${ROOT}${path}`, "utf8"));
    }
  }
  return tree;
}

export function parseFile(path: string, text: string): SourceFile {
  const file: SourceFile = { path, lines: text.trimEnd().split("\n").length, imports: [], globals: [] };
  if (!path.endsWith(".lua")) visit(parseAst(text, { lang: path.endsWith("x") ? "tsx" : "ts" }), file);
  return file;
}

type Node = { type: string } & Record<string, unknown>;

function visit(value: unknown, file: SourceFile): void {
  if (Array.isArray(value)) for (const each of value) visit(each, file);
  if (!isNode(value)) return;
  addImport(value, file);
  const name = namedGlobal(value);
  if (name !== undefined && !file.globals.includes(name)) file.globals.push(name);
  for (const [key, child] of Object.entries(value)) if (!isPlainName(value, key)) visit(child, file);
}

/** Static and dynamic imports, re-exports and `import("…")` types all carry a `source`. */
function addImport(node: Node, file: SourceFile): void {
  const { source } = node;
  if (!isNode(source) || source.type !== "Literal" || typeof source.value !== "string") return;
  const kinds = [node.importKind, node.exportKind];
  const typeOnly = node.type === "TSImportType" || kinds.includes("type");
  const target = source.value.startsWith(".")
    ? posix.join(posix.dirname(file.path), source.value)
    : source.value.replace(/^millrace(?=$|\/)/, "package:");
  file.imports.push({ target, typeOnly });
}

function namedGlobal(node: Node): string | undefined {
  if (node.type === "Identifier") return GLOBALS.find((name) => name === node.name);
  if (node.type !== "MemberExpression" || !isNode(node.object) || node.object.name !== "globalThis") return undefined;
  const { property } = node;
  return isNode(property) ? GLOBALS.find((name) => name === property.name || name === property.value) : undefined;
}

/** `x.process` and `{ process: 1 }` name no global. */
function isPlainName(node: Node, key: string): boolean {
  if (node.computed === true) return false;
  return (
    (node.type === "MemberExpression" && key === "property") || (/Property|Method/.test(node.type) && key === "key")
  );
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}

function absent(error: { code?: string }): [] {
  if (error.code !== "ENOENT") throw error;
  return [];
}
