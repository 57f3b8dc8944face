import { cleanText } from "../../text/clean.ts";

/** A line of a page as it is set. Lengths in points (1/72 inch), `y` from the bottom of the page up. */
export interface Line {
  text: string;
  x: number;
  y: number;
  width: number;
  /** Of the type. */
  size: number;
  font: string;
}

/** The part of a text item of pdf.js that is used here. */
export interface TextItem {
  str: string;
  transform: number[];
  width: number;
  fontName: string;
  hasEOL: boolean;
}

/** Puts the items of a page together to its lines, in the order in which the page draws them. */
export function linesOf(items: Iterable<TextItem>): Line[] {
  const lines: Line[] = [];
  let line: Line | undefined;
  for (const item of items) {
    const [, , c = 0, d = 0, x = 0, y = 0] = item.transform;
    const text = cleanText(item.str);
    if (text !== "") {
      line ??= { text: "", x, y, width: 0, size: 0, font: item.fontName };
      line.text += text;
      line.width = Math.max(line.width, x + item.width - line.x);
      if (text.trim() !== "") line.size = Math.max(line.size, Math.hypot(c, d));
      if (item.fontName !== line.font && text.trim() !== "") line.font = "mixed";
    }
    if (item.hasEOL && line !== undefined) {
      lines.push(line);
      line = undefined;
    }
  }
  if (line !== undefined) lines.push(line);
  return lines.filter((each) => each.text.trim() !== "").map((each) => ({ ...each, text: each.text.trim() }));
}

/** A page's text: its lines, with a blank line wherever a paragraph or a heading ends. */
export function textOf(lines: readonly Line[]): string {
  const gaps = lines.slice(1).map((line, index) => lines[index]!.y - line.y);
  const leading = median(gaps.filter((gap) => gap > 0)) ?? 0;
  const measure =
    quantile(
      lines.map((line) => line.width),
      0.9,
    ) ?? 0;
  return lines
    .map((line, index) => {
      const before = lines[index - 1];
      if (before === undefined) return line.text;
      return (endsParagraph(before, line, leading, measure) ? "\n\n" : "\n") + line.text;
    })
    .join("");
}

/** Whether a paragraph ends between two lines: by space, by a change of type, or because the first one is short. */
function endsParagraph(line: Line, next: Line, leading: number, measure: number): boolean {
  const gap = line.y - next.y;
  if (gap > 1.3 * leading && gap > 1.1 * next.size) return true;
  // A lone index or exponent comes as a line of its own, too, and parts nothing.
  if (!/\p{L}{3}/u.test(line.text) || !/\p{L}{3}/u.test(next.text)) return false;
  if (Math.abs(line.size - next.size) > 0.1 * Math.max(line.size, next.size)) return true;
  if (/[-‐,;:]$/.test(line.text)) return false;
  const short = line.width < 0.6 * measure;
  return short && (/^\p{Lu}|^\P{L}/u.test(next.text) || (line.font !== "mixed" && line.font !== next.font));
}

export function median(values: readonly number[]): number | undefined {
  return quantile(values, 0.5);
}

function quantile(values: readonly number[], share: number): number | undefined {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length * share)];
}
