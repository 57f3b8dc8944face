import { cleanText } from "../text/clean.ts";
import { type Line, median } from "./pdf/lines.ts";

const LONGEST = 300;
/** What programs write when their user has named nothing. */
const NO_TITLE =
  /^(?:untitled|unbenannt|sans titre|sin título|document|dokument|presentation|powerpoint[- ]pr[äeé]sentation|slide|folie|page|scan|microsoft word|title|titel)?[\s\d_.:-]*$/i;
const PROGRAM = /^(?:microsoft (?:word|powerpoint|excel)|word|latex|print) - /i;
const FILE_NAME = /\.(?:pdf|docx?|odt|rtf|tex|dvi|ps|indd|qxd|pptx?|xlsx?|html?|md|txt)$/i;
/** Headings of parts that come before the text itself. */
const PART =
  /^(?:(?:table of )?contents|inhalt(?:sverzeichnis)?|table des matières|sommaire|índice|indice|sumário|inhoud|abstract|preface|vorwort|foreword|cover)$/i;

/** The title that a document states in its properties, if a person wrote it. */
export function statedTitle(title: string | undefined): string | undefined {
  const text = oneLine(cleanText(title ?? "")).replace(PROGRAM, "");
  return text.length < 2 || NO_TITLE.test(text) || FILE_NAME.test(text) || !/\p{L}{2}/u.test(text) ? undefined : text;
}

/** The heading at the top of a document's first page: its largest type, or failing that a first line that is one. */
export function headingOf(lines: readonly Line[]): string | undefined {
  const body =
    median(lines.flatMap((line) => new Array<number>(Math.ceil(line.text.length / 10)).fill(line.size))) ?? 0;
  const largest = Math.max(0, ...lines.filter((line) => isHeading(line.text)).map((line) => line.size));
  if (largest > 1.15 * body) {
    const first = lines.findIndex((line) => line.size === largest && isHeading(line.text));
    const rest = lines.slice(first).findIndex((line) => line.size < 0.95 * largest);
    return oneLine(
      lines
        .slice(first, rest === -1 ? undefined : first + Math.min(rest, 4))
        .map((line) => line.text)
        .join(" "),
    );
  }
  return firstHeading(lines.map((line) => line.text));
}

/** The first line of a text if it stands as a heading does: short, without a full stop, and not a list of contents. */
export function firstHeading(lines: readonly string[]): string | undefined {
  const first = lines.find((line) => line.trim() !== "");
  return first !== undefined && first.length <= 100 && isHeading(first) && !/[.,;:]\s*$/.test(first)
    ? oneLine(first)
    : undefined;
}

/** A file's name without its ending. */
export function nameAsTitle(name: string): string {
  const base = oneLine(name.split(/[\\/]/).at(-1) ?? "");
  return base.replace(/(?<=.)\.[A-Za-z0-9]{1,8}$/, "") || "Untitled";
}

function isHeading(text: string): boolean {
  const plain = oneLine(text);
  return plain.length >= 3 && /\p{L}{2}/u.test(plain) && !PART.test(plain) && !/(?:\.\s?){4}/.test(plain);
}

/** Without line breaks, doubled spaces and the number of a chapter before it. */
function oneLine(text: string): string {
  const line = text
    .replaceAll(/\s+/g, " ")
    .trim()
    .replace(/^(?:\d{1,2}(?:\.\d{1,2})*\.?|[IVX]{1,5}\.)\s+(?=\p{Lu})/u, "");
  return line.length <= LONGEST ? line : `${line.slice(0, LONGEST - 1)}…`;
}
