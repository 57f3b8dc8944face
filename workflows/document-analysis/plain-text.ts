import { FatalError } from "../../engine/index.ts";
import type { Pace } from "../pace.ts";
import { cleanText } from "../text/clean.ts";
import { LIMITS } from "./limits.ts";

const LONGEST_LINE = 10_000;

/**
 * The characters of a text file. UTF-8, or UTF-16 with a byte order mark; what is neither is read as windows-1252, as
 * browsers do (https://encoding.spec.whatwg.org), and `warning` says so.
 */
export function decodeText(bytes: Uint8Array): { text: string; warning?: string } {
  const utf16 =
    bytes[0] === 0xff && bytes[1] === 0xfe
      ? "utf-16le"
      : bytes[0] === 0xfe && bytes[1] === 0xff
        ? "utf-16be"
        : undefined;
  try {
    return { text: new TextDecoder(utf16 ?? "utf-8", { fatal: true }).decode(bytes) };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return {
      text: new TextDecoder(utf16 ?? "windows-1252").decode(bytes),
      warning: `The text is not valid ${utf16 === undefined ? "UTF-8; it was read as windows-1252" : "UTF-16"}, and some characters may be wrong.`,
    };
  }
}

/** The pages of a plain text: form feeds part them. @throws FatalError `text_too_long`, `too_many_pages` */
export function pagesOfText(text: string): string[] {
  if (text.length > LIMITS.characters)
    throw new FatalError(`The text has ${text.length} characters; at most ${LIMITS.characters} can be analysed.`, {
      code: "text_too_long",
    });
  const pages = text.replaceAll(/\r\n?/g, "\n").split("\f").map(cleanText);
  if (pages.length > 1 && pages.at(-1)!.trim() === "") pages.pop();
  if (pages.length > LIMITS.pages)
    throw new FatalError(`The text has ${pages.length} pages; at most ${LIMITS.pages} can be analysed.`, {
      code: "too_many_pages",
    });
  return pages;
}

/** The text that a Markdown document says, without its marks; code is left out. The first heading is its title. */
export async function plainMarkdown(source: string, pace: Pace): Promise<{ text: string; title: string | undefined }> {
  let title: string | undefined;
  const out: string[] = [];
  let fence: string | undefined;
  const body = source.replaceAll(/\r\n?/g, "\n").replace(/^---\n[\s\S]{0,10000}?\n---\n/, "");
  for (const line of body.split("\n")) {
    await pace();
    const mark = /^\s{0,3}(`{3,}|~{3,})/.exec(line)?.[1];
    if (fence !== undefined) {
      if (mark?.startsWith(fence)) fence = undefined;
      continue;
    }
    if (mark !== undefined) {
      fence = mark;
      continue;
    }
    const heading = /^\s{0,3}(#{1,6})\s+(.*?)\s*#*\s*$/.exec(line);
    if (heading !== null) {
      const text = plainInline(heading[2]!);
      if (heading[1] === "#") title ??= text;
      out.push("", text, "");
    } else if (/^\s{0,3}(?:[-*_]\s*){3,}$|^\s*\|?[\s:|-]*-{3,}[\s:|-]*$/.test(line)) out.push("");
    else out.push(plainInline(line.replace(/^(?:\s{0,3}>)+\s?/, "")));
  }
  return {
    text: out
      .join("\n")
      .replaceAll(/\n{3,}/g, "\n\n")
      .trim(),
    title,
  };
}

function plainInline(text: string): string {
  // Nobody writes such a line, and looking for pairs in it would take long.
  if (text.length > LONGEST_LINE) return text;
  return text
    .replaceAll(/<!--.{0,2000}?-->|<\/?[A-Za-z][^<>]{0,500}>/g, "")
    .replaceAll(/!?\[([^\]]{0,500})\](?:\([^)\s]{0,2000}(?:\s+"[^"]{0,500}")?\)|\[[^\]]{0,200}\])/g, "$1")
    .replaceAll(/(\*{1,3}|_{1,3}|~~)(?=\S)(.{1,2000}?)(?<=\S)\1/g, "$2")
    .replaceAll(/`{1,2}([^`]{1,500})`{1,2}/g, "$1")
    .replaceAll(/^\s*\|\s*|\s*\|\s*$/g, "")
    .replaceAll(/\s*\|\s*/g, " | ");
}
