import { readFile } from "node:fs/promises";
import { ROOT } from "./run.ts";

export interface Markdown {
  readonly text: string;
  /** Fenced code: what stands behind the fence, `ts first.ts`, and the code. */
  readonly blocks: readonly { info: string; code: string }[];
  /** Tables: the first cell of the heading, and the rows. */
  readonly tables: readonly { head: string; rows: string[][] }[];
}

/** A Markdown file of the project. */
export async function readMarkdown(path: string): Promise<Markdown> {
  const text = await readFile(`${ROOT}${path}`, "utf8");
  const blocks = [...text.matchAll(/^( *)```(.+)\n([\s\S]*?)^ *```$/gm)].map(([, indent, info, code]) => ({
    info: info!,
    code: code!.replaceAll(new RegExp(`^${indent}`, "gm"), ""),
  }));
  const tables = [...text.matchAll(/^(\|.+\|)\n\|[-|]+\|\n((?:\|.+\|\n)+)/gm)].map(([, head, body]) => ({
    head: cells(head!)[0]!,
    rows: body!.trimEnd().split("\n").map(cells),
  }));
  return { text, blocks, tables };
}

/** The one block with that behind its fence. @throws Error if there is none */
export function block({ blocks }: Markdown, info: string): string {
  const found = blocks.find((each) => each.info === info);
  if (found === undefined) throw new Error(`There is no code block ${info}.`);
  return found.code;
}

/** The rows of the one table whose heading begins so. @throws Error if there is none */
export function table({ tables }: Markdown, head: string): string[][] {
  const found = tables.find((each) => each.head === head);
  if (found === undefined) throw new Error(`There is no table of ${head}.`);
  return found.rows;
}

/** What stands between the first backticks of a cell; empty without any. */
export function code(cell: string): string {
  return /`([^`]+)`/.exec(cell)?.[1] ?? "";
}

function cells(row: string): string[] {
  return row
    .slice(1, -1)
    .split("|")
    .map((cell) => cell.trim());
}
