import picocolors from "picocolors";
import stringWidth from "string-width";
import { endIfUnread } from "./interrupt.ts";

export type Style = "good" | "bad" | "busy" | "faint" | "strong";

/** One column of a list. */
export interface Column<T> {
  name: string;
  /** What stands there for programs; nothing for undefined. */
  of(row: T): string | number | undefined;
  /** What people are shown instead. */
  shown?(row: T): string;
  style?(row: T): Style | undefined;
  isNumber?: boolean;
}

/** As much of a stream as is written to. */
interface Output {
  isTTY?: boolean;
  columns?: number;
  write(text: string, done: (error?: Error | null) => void): unknown;
}

export interface PrinterOptions {
  json: boolean;
  stdout?: Output;
  env?: Readonly<Record<string, string | undefined>>;
}

const GAP = "  ";
const UNTOLD = { columns: 80 };

/**
 * How a command prints: to a terminal tables for people, to anything else lines whose fields are separated by tabs, and with
 * `json` one JSON document, or a line of JSON for each thing that comes by itself. What is no result goes to standard error.
 */
export class Printer {
  readonly json: boolean;
  readonly isTerminal: boolean;
  readonly #styles: Record<Style, (text: string) => string>;
  readonly #stdout: Output;

  constructor({ json, stdout = process.stdout, env = process.env }: PrinterOptions) {
    this.json = json;
    this.isTerminal = stdout.isTTY === true && !json;
    this.#stdout = stdout;
    const colors = picocolors.createColors(hasColors(env, stdout.isTTY === true) && !json);
    this.#styles = {
      ...{ good: colors.green, bad: colors.red, busy: colors.yellow, faint: colors.dim, strong: colors.bold },
    };
  }

  /** How wide a line may be. */
  get width(): number {
    // A terminal that was told no size says 0.
    return this.#stdout.columns || UNTOLD.columns;
  }

  paint(text: string, style: Style | undefined): string {
    return style === undefined || text === "" ? text : this.#styles[style](text);
  }

  /** A value as indented JSON, whatever was asked for. */
  document(value: unknown): void {
    this.print(JSON.stringify(value, undefined, 2));
  }

  /** The one thing that came of a command. @param words for people; none: they are told nothing */
  result(value: unknown, words?: string): void {
    if (this.json) this.document(value);
    else if (words !== undefined) this.print(words);
  }

  /** One of several things that come by themselves. */
  line(value: unknown, words: string): void {
    this.print(this.json ? JSON.stringify(value) : words);
  }

  /** A list, or a page of one. */
  list<T>(page: { data: readonly T[]; next?: string | undefined }, columns: readonly Column<T>[]): void {
    if (this.json) this.document(page);
    else for (const line of this.lines(page.data, columns)) this.print(line);
    if (!this.json && page.next !== undefined) this.note(`more: --cursor ${page.next}`);
  }

  /** The lines of a list, as they are printed. */
  lines<T>(rows: readonly T[], columns: readonly Column<T>[]): string[] {
    if (!this.isTerminal)
      return rows.map((row) =>
        columns.map((column) => this.paint(clean(column.of(row)), column.style?.(row))).join("\t"),
      );
    if (rows.length === 0) return [this.paint("none", "faint")];
    const text = (row: T, column: Column<T>) => clean(column.shown?.(row) ?? column.of(row));
    const widths = columns.map((column) =>
      Math.max(column.name.length, ...rows.map((row) => stringWidth(text(row, column)))),
    );
    const cell = (i: number, words: string, style: Style | undefined) => {
      const isLast = i === columns.length - 1;
      const room = this.width - widths.slice(0, i).reduce((sum, width) => sum + width + GAP.length, 0);
      const fitting = isLast ? cut(words, Math.max(room, 10)) : words;
      const pad = " ".repeat(Math.max(0, widths[i]! - stringWidth(fitting)));
      if (columns[i]!.isNumber) return pad + this.paint(fitting, style);
      return this.paint(fitting, style) + (isLast ? "" : pad);
    };
    const heading = columns.map(({ name }, i) => cell(i, name, "faint")).join(GAP);
    const lines = rows.map((row) =>
      columns.map((column, i) => cell(i, text(row, column), column.style?.(row))).join(GAP),
    );
    return [heading, ...lines].map((line) => line.trimEnd());
  }

  /** A line as it is. Not by `console.log`: under Bun and Deno that says nothing of a reader that has gone. */
  print(line: string): void {
    this.#stdout.write(`${line}\n`, endIfUnread);
  }

  /** Resolves when all that was printed is written. */
  written(): Promise<void> {
    return new Promise((resolve) => void this.#stdout.write("", () => resolve()));
  }

  /** What is no result. */
  note(words: string): void {
    console.error(words);
  }
}

/** Values of others on one line: what would move the cursor, or begin another line or field, becomes a space. */
export function clean(value: string | number | undefined): string {
  return String(value ?? "").replaceAll(/[\p{Cc}\u2028\u2029]+/gu, " ");
}

/** The beginning of a text that is no wider than this. */
export function cut(text: string, width: number): string {
  if (stringWidth(text) <= width) return text;
  let fitting = "";
  let taken = 1;
  for (const character of text) {
    taken += stringWidth(character);
    if (taken > width) break;
    fitting += character;
  }
  return `${fitting}…`;
}

/** As https://no-color.org and https://force-color.org have it. */
function hasColors(env: NonNullable<PrinterOptions["env"]>, isTerminal: boolean): boolean {
  if (env.NO_COLOR) return false;
  if (env.FORCE_COLOR) return env.FORCE_COLOR !== "0" && env.FORCE_COLOR !== "false";
  return isTerminal && env.TERM !== "dumb";
}
